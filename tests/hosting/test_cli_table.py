"""Lists of many are written as they are read, as wide as the terminal, and in its colours."""

from __future__ import annotations

import sys

import pytest
from rich.text import Text

from durio.hosting import cli_list
from durio.hosting.cli_output import Out
from durio.hosting.cli_settings import Common
from durio.hosting.cli_table import Listing
from tests.hosting.cli_helpers import Cli, Owner, Terminal


def listed(monkeypatch: pytest.MonkeyPatch, *rows: tuple[str | Text, ...], **environ: str) -> list[str]:
    """What a terminal gets."""
    for name, value in {"TERM": "xterm", "LINES": "24", **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    listing = Listing(Out(Common()), "instance", "status")
    for row in rows:
        listing.write([row])
    assert isinstance(sys.stdout, Terminal)
    return sys.stdout.getvalue().splitlines()


def test_columns_grow_with_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written stays; what comes later is not cut."""
    rows = ("a", "Running"), ("order-00000017", "Running"), ("b", "x")
    assert listed(monkeypatch, *rows, TERM="dumb", COLUMNS="80") == [
        "instance  status",
        "─────────────────",
        "a         Running",
        "order-00000017  Running",
        "b               x",
    ]


def test_names_are_cut_where_it_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide letters count twice; a status is never cut."""
    lines = listed(
        monkeypatch, ("日本日本日本日本", "Running"), ("order-00000017", "Failed"), TERM="dumb", COLUMNS="20"
    )
    assert lines[2:] == ["日本日本日…  Running", "order-0000…  Failed"]


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, and not with NO_COLOR."""
    row = ("a", Text("Failed", "bold red"))
    assert listed(monkeypatch, row, COLUMNS="80")[-1] == "a         \x1b[1;31mFailed\x1b[0m"
    assert listed(monkeypatch, row, COLUMNS="80", NO_COLOR="1")[-1] == "a         \x1b[1mFailed\x1b[0m"


def test_a_long_list_begins_at_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is on its way before the next one is read: `durio list --limit 0 | head` does not read it all."""
    monkeypatch.setattr(cli_list, "PAGE", 2)
    written = []
    write = Listing.write

    def watched(listing: Listing, rows: list[tuple[str | Text, ...]]) -> None:
        found = [*rows]
        written.append(len(found))
        write(listing, found)

    with Owner(cli.hub):
        for number in range(5):
            cli.ok("start", "waits", "--id", f"w{number}")
        monkeypatch.setattr(Listing, "write", watched)
        lines = cli.ok("list", "--limit", "0").out.splitlines()
    assert written == [2, 2, 1]
    assert [line.split()[0] for line in lines[2:]] == ["w0", "w1", "w2", "w3", "w4"]
