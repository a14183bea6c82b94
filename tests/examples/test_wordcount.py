"""The main job: right totals in spite of a kill, for any folder."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.helpers import EXAMPLES, PATIENCE_S, run_example

EQUAL = "Equal: every file is in the totals exactly once"
SLIP = re.compile(r"done\. (\d+) results were in the hub, the other (\d+) it counted\.")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """200 files of text in a few folders."""
    for number in range(200):
        file = tmp_path / "texts" / f"part {number % 7}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("Apples, bananas & Cherries!\n" * number)
    return tmp_path / "texts"


def cell(output: str, letter: str) -> list[int]:
    """The durable and the plain total of a letter."""
    found = re.search(rf"\b{letter} +([\d,]+) +([\d,]+)", output)
    assert found is not None, output
    return [int(number.replace(",", "")) for number in found.groups()]


def test_totals_are_right_in_spite_of_the_kill(texts: Path, tmp_path: Path) -> None:
    """G2, G3, G5, G24: after a kill -9 in the middle the totals are exact, and what was done is not done again."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ran = run_example("wordcount", texts, temporary=temporary)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert "It died of SIGKILL" in ran.stdout
    assert EQUAL in ran.stdout
    for letter in "abc":
        assert cell(ran.stdout, letter) == [sum(range(200))] * 2
    assert cell(ran.stdout, "other") == [0, 0]
    slip = SLIP.search(ran.stdout)
    assert slip is not None
    kept, counted = map(int, slip.groups())
    assert (kept, counted) == (66, 134), "a third was in the hub, and is not counted again"
    assert "66 of 200 results are in the hub. Now: kill -9" in ran.stdout
    assert ran.stdout.count("  200/200 results") == 1
    assert list(temporary.iterdir()) == []


def test_odd_files(tmp_path: Path) -> None:
    """Empty, binary, unreadable and oddly named files, and bytes that are no UTF-8, change nothing about that."""
    texts = tmp_path / "texts"
    (texts / ".hidden").mkdir(parents=True)
    (texts / ".hidden" / "no").write_text("no")
    (texts / "empty").touch()
    (texts / "latin-1").write_bytes("Überall Äpfel, überall\n".encode("latin-1"))
    (texts / "utf-8").write_text("Überall Äpfel, überall\n", "utf-8")
    (texts / "binary").write_bytes(b"zebra\0zebra")
    (texts / os.fsdecode(b"a\nb \xff%41")).write_text("xylophone")
    (texts / "unreadable").symlink_to("/proc/self/mem")  # even for root
    (texts / "nowhere").symlink_to("gone")
    os.mkfifo(texts / "pipe")
    ran = run_example("wordcount", texts, temporary=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert EQUAL in ran.stdout
    assert "6 files of text" in ran.stdout
    assert re.search("left out: .*nowhere", ran.stdout)
    assert "binary: holds NUL bytes, so it is no text" in ran.stdout
    assert "unreadable: Input/output error" in ran.stdout
    assert cell(ran.stdout, "other") == [3, 3], "three words in UTF-8 begin with an umlaut"
    assert cell(ran.stdout, "x") == [1, 1]
    assert cell(ran.stdout, "z") == [0, 0]


def test_one_file(tmp_path: Path) -> None:
    """A folder of one file is killed and finished as well, says that nothing is kept, and --hub keeps the hub."""
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "one").write_text("one")
    ran = run_example("wordcount", texts, "--hub", tmp_path / "hub", temporary=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "It died of SIGKILL" in ran.stdout
    assert "this time nothing is kept" in ran.stdout
    assert "0 results were in the hub, the other 1 it counted" in ran.stdout
    assert cell(ran.stdout, "o") == [1, 1]
    assert any((tmp_path / "hub").iterdir())


@pytest.mark.parametrize(("files", "kept"), [(2, 1), (3, 1), (5, 1), (6, 2)])
def test_few_files(files: int, kept: int, texts: Path, tmp_path: Path) -> None:
    """--limit counts the first files only; however few and fast they are, the kill comes between two results."""
    ran = run_example("wordcount", texts, "--limit", str(files), temporary=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"{files} files of text" in ran.stdout
    assert f"{kept} results were in the hub, the other {files - kept} it counted" in ran.stdout


def test_python_sources_are_the_default(tmp_path: Path) -> None:
    """Without a folder it counts Python's own sources, without tests and installed packages."""
    ran = run_example("wordcount", "--limit", "30", temporary=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"30 files of text in {Path(os.__file__).parent}" in ran.stdout


def test_progress_bar_on_a_terminal(texts: Path, tmp_path: Path) -> None:
    """On a terminal the progress is one line that is drawn over and over."""
    ours, theirs = pty.openpty()
    command: list[str | Path] = [sys.executable, EXAMPLES / "wordcount.py", texts]
    with subprocess.Popen(command, stdout=theirs, stdin=subprocess.DEVNULL) as ran:
        os.close(theirs)
        shown = b""
        while part := read_terminal(ours):
            shown += part
        assert ran.wait(PATIENCE_S) == 0
    os.close(ours)
    assert b"\r  [" + b"#" * 40 + b"] 200/200 results" in shown
    assert shown.count(b"200/200") == 1
    assert EQUAL.encode() in shown


def read_terminal(terminal: int) -> bytes:
    """What was written; nothing when the last writer is gone, which Linux shows as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@pytest.mark.parametrize("lines", [0, 3, 6])
def test_reader_that_has_seen_enough(lines: int, texts: Path, tmp_path: Path) -> None:
    """Written into a pipe whose reader goes, as `head` does, it ends quietly and removes its hub."""
    with start(texts, tmp_path) as ran:
        assert ran.stdout is not None
        for _ in range(lines):
            ran.stdout.readline()
        ran.stdout.close()
        assert ran.stderr is not None
        assert ran.stderr.read() == b""
        assert ran.wait(PATIENCE_S) == 128 + signal.SIGPIPE
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("lines", [1, 3, 5, 7, 9, 11])
def test_stopped_by_the_user(lines: int, texts: Path, tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to all processes, stops it without a traceback, and the hub is removed."""
    with start(texts, tmp_path) as ran:
        assert ran.stdout is not None
        for _ in range(lines):
            ran.stdout.readline()
        os.killpg(ran.pid, signal.SIGINT)
        _, errors = ran.communicate(timeout=PATIENCE_S)
    assert (ran.returncode, errors) == (128 + signal.SIGINT, b"\nstopped\n")
    assert list((tmp_path / "temporary").iterdir()) == []


def start(texts: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    """The example in a process group of its own, as a shell starts it, with pipes to read from."""
    (tmp_path / "temporary").mkdir()
    return subprocess.Popen(
        [sys.executable, EXAMPLES / "wordcount.py", texts],
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        process_group=0,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["empty"], "there are no files of text in"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--limit", "many"], "invalid int value: 'many'"),
        (["--hub", "empty"], "is there already: name a folder that is not"),
    ],
)
def test_bad_input(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G31: bad input is refused with a sentence that says what is wrong, before anything is done."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    ran = run_example("wordcount", *arguments, temporary=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
