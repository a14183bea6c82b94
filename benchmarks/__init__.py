"""How fast durio is on this machine, next to the bare ceiling: `python -m benchmarks --help`."""
