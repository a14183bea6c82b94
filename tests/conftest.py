"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["durio.simulation.plugin"]

# On a busy machine an example may take any time; how fast something is, is for the benchmarks. The rest
# stays as Hypothesis has it, so with CI set the examples are the same in every run.
settings.register_profile("durio", deadline=None)
settings.load_profile("durio")
