"""Pages that are followed with pytest: the file that their Python blocks make, their commands, what these print.

A block of language `sh` in which pytest is started on a file is run on all Python blocks above it, which are that file.
Right below stands a block of language `text`: what pytest says of the failure (its lines that begin with `E`), or how
many tests passed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import attrs

from tests.docs.pages import PROJECT, Block, blocks_of

FOLLOWED = (PROJECT / "README.md", PROJECT / "docs" / "find-the-race.md")
CONFTEST = 'pytest_plugins = ["durio.simulation.plugin"]\n'
PATIENCE_S = 120

# The same examples in every run, whatever the environment says.
ALWAYS = ("-p", "no:cacheprovider", "--hypothesis-profile=default", "--hypothesis-seed=0")

_REPLAY = re.compile(r"--sim-replay=(\S+)")
_PASSED = re.compile(r"^(\d+ passed) in ")


@attrs.frozen
class Command:
    """A command of a page, the program above it, and the block below it that says what it prints."""

    page: Path
    first: int
    words: tuple[str, ...]
    program: str
    output: Block

    def __str__(self) -> str:
        return f"{self.page.name}:{self.first}"

    @property
    def replay(self) -> str | None:
        """What the page names for running the failure again; None if nothing fails."""
        found = _REPLAY.search(self.output.text)
        return None if found is None else found[1]

    def run(self, folder: Path, *options: str) -> str:
        """Run the command on the program in an empty folder; gives what the page should show.

        Raises `RuntimeError` when no test was run.
        """
        file = next(word for word in self.words if ".py" in word).partition("::")[0]
        folder.mkdir()
        (folder / "conftest.py").write_text(CONFTEST, "utf-8")
        (folder / file).write_text(self.program, "utf-8")
        ended = subprocess.run(
            [sys.executable, "-m", *self.words, *ALWAYS, *options],
            cwd=folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        told = _told(ended.stdout)
        if not told:
            raise RuntimeError(f"{self}: it neither passes nor fails:\n{ended.stdout}{ended.stderr}")
        return told


def commands_of(page: Path) -> list[Command]:
    """The commands of a page, in order. Raises `ValueError` for one without a block of output right below it."""
    found: list[Command] = []
    program: list[str] = []
    blocks = blocks_of(page)
    for block, after in pairwise([*blocks, Block("", "", 0, 0)]):
        if block.language == "python":
            program.append(block.text)
        elif block.language == "sh" and re.match(r"pytest .*\.py\b", block.text):
            if after.language != "text":
                raise ValueError(f"{page}:{block.first}: the page does not show what this prints")
            words = tuple(shlex.split(block.text))
            found.append(Command(page, block.first, words, "\n\n".join(program), after))
    return found


def steps_in(output: str) -> int:
    """How many steps a trace shows."""
    return len(re.findall(r"^ *\d+  \S", output, re.MULTILINE))


def kind_of(output: str) -> str:
    """What an output tells of: an assertion that fails, another error, or tests that pass."""
    return re.split(r"[ :]", output, maxsplit=1)[0]


def refresh(page: Path, folder: Path) -> None:
    """Write what the commands of a page print into the page, and the names of replays wherever it repeats them.

    Raises `RuntimeError` if one ends in another way than the page says.
    """
    lines, replays = page.read_text("utf-8").splitlines(), list[tuple[str, str]]()
    for number, command in reversed(list(enumerate(commands_of(page)))):
        told = command.run(folder / str(number))
        if kind_of(told) != kind_of(command.output.text):
            raise RuntimeError(f"{command}: the page tells of another end than\n{told}")
        lines[command.output.first : command.output.last - 1] = told.splitlines()
        again = _REPLAY.search(told)
        if command.replay is not None and again is not None:
            replays.append((command.replay, again[1]))
    text = "\n".join(lines) + "\n"
    for old, new in replays:
        text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, text)
    page.write_text(text, "utf-8")


def _told(output: str) -> str:
    """What pytest says of a failure, or how many tests passed."""
    told = [line[8:].rstrip() for line in output.splitlines() if line.startswith("E ")]
    passed = [found[1] for line in output.splitlines() if (found := _PASSED.match(line))]
    return "".join(line + "\n" for line in told or passed)
