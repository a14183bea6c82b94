"""The main job: count the words of a folder, get killed in the middle of it, and still be exactly right.

    python examples/wordcount.py [FOLDER] [--limit N] [--hub DIR]

One activity counts one file. A first process begins; when a third of the results is in the hub it kills itself with
SIGKILL. A second process opens the same hub, knows nothing else, and finishes. Then the totals are compared with a
plain count of the same files.

Why the totals are right although an activity may run twice: an activity only *computes*. Its result is taken exactly
once, and the orchestration's signals to the totals are sent in the same commit that ends it. Had the activities added
to the totals themselves, every file that was being counted at the kill could have been added twice.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import re
import signal
import stat
import string
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # importing the rest takes a moment, and nothing is to clean up yet

import attrs
import trio

from durio.entities import EntityId
from durio.orchestration import App, Client, OrchestrationContext, OrchestrationRuntimeStatus, open_hub

JOB = "wordcount"
BATCH = "wordcount batch {}"
FILES_PER_BATCH = 20
LETTERS: tuple[str, ...] = (*string.ascii_lowercase, "other")
WORD = re.compile(r"[^\W\d_]+")
STANDARD_LIBRARY = Path(os.__file__).parent
TERMINAL = sys.stdout.isatty()
BAR_END = "\n" if TERMINAL else ""
STOPS = (signal.SIGINT, signal.SIGTERM)
PACKAGES_AND_TESTS = ("site-packages", "dist-packages", "test", "tests", "idle_test")

app = App()


# The job: activities, entities and orchestrations.


@attrs.frozen
class FileCount:
    """How many words of a file begin with each letter, or why nobody can tell."""

    words: dict[str, int]
    problem: str | None = None


@attrs.frozen
class Report:
    """What the whole job found."""

    totals: dict[str, int]
    problems: list[str]


@attrs.define
class Process:
    """What this process did, and at how many results it shall die. In plain memory: a kill wipes it out."""

    counted: int = 0
    drawn: int = -1
    kill_at: int | None = None


process = Process()


@app.activity(limit=8)
async def count_file(name: str) -> FileCount:
    """Count one file, in a worker thread. Of a process that shall die, the results after its last are held back."""
    count = await trio.to_thread.run_sync(count_words, name)
    process.counted += 1
    if process.kill_at is not None and process.counted > process.kill_at:
        await trio.sleep_forever()  # so that the kill finds work that is lost, also when the files are few and fast
    return count


@app.entity
@attrs.define
class Total:
    """A number in the hub: the words that begin with one letter."""

    value: int = 0

    def add(self, number: int) -> None:
        self.value += number

    def get(self) -> int:
        return self.value


@app.orchestration
async def count_batch(ctx: OrchestrationContext, names: list[str]) -> list[str]:
    """Count some files at the same time and add them to the totals; gives the problems."""
    counts = await ctx.task_all([ctx.call_activity(count_file, name) for name in names])
    words = sum((Counter(count.words) for count in counts), Counter[str]())
    for letter in sorted(words):
        ctx.signal_entity(EntityId("Total", letter), Total.add, words[letter])
    return [count.problem for count in counts if count.problem is not None]


@app.orchestration
async def count_folder(ctx: OrchestrationContext, names: list[str]) -> Report:
    """Count all files, batch by batch, all batches at the same time."""
    batches = [names[at : at + FILES_PER_BATCH] for at in range(0, len(names), FILES_PER_BATCH)]
    counting = [ctx.call_sub_orchestrator(count_batch, batch, BATCH.format(n)) for n, batch in enumerate(batches)]
    problems = await ctx.task_all(counting)
    totals = await ctx.task_all([ctx.call_entity(EntityId("Total", letter), Total.get) for letter in LETTERS])
    return Report(dict(zip(LETTERS, totals, strict=True)), [problem for some in problems for problem in some])


# Files and words, without anything durable.


def text_files(folder: Path) -> Iterator[str]:
    """The names of the files below `folder`, but hidden ones; of Python's own no packages and no tests."""
    own = folder.samefile(STANDARD_LIBRARY)
    for parent, folders, files in os.walk(folder, onerror=lambda error: say(f"  left out: {error}")):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__pycache__")))
        if own:
            folders[:] = [f for f in folders if f not in PACKAGES_AND_TESTS]
        for file in sorted(files):
            path = Path(parent, file)
            if not file.startswith(".") and (path.suffix == ".py" or not own) and is_regular(path):
                yield quote(os.fsencode(path))  # a file's name is bytes, JSON is text: %-escapes fit both


def is_regular(path: Path) -> bool:
    """Whether it is a file, and no pipe or device, which may never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        say(f"  left out: {error}")
        return False


def count_words(name: str) -> FileCount:
    """What `count_file` does, and the plain count too."""
    try:
        data = Path(os.fsdecode(unquote_to_bytes(name))).read_bytes()
    except OSError as error:
        return FileCount({}, f"{name}: {error.strerror}")
    if b"\0" in data:
        return FileCount({}, f"{name}: holds NUL bytes, so it is no text")
    words = WORD.findall(data.decode("utf-8", "replace").lower())
    counts = Counter[str]()
    for first, number in Counter(word[0] for word in words).items():
        counts[first if first in LETTERS else "other"] += number
    return FileCount(dict(counts))


# The worker process. The first one gets the names of the files; the second one has the hub and nothing else.


async def work(hub: str, names: list[str]) -> None:
    async with open_hub(hub, app) as client:
        if names:
            await client.start_new(count_folder, JOB, names)
        total = len((await client.get_status(JOB)).input_)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show_progress, client, total)
            status = await client.wait_for_completion(JOB)
            nursery.cancel_scope.cancel()
        if status.runtime_status is not OrchestrationRuntimeStatus.Completed:
            sys.exit(f"the job ended as {status.runtime_status}: {status.output}")
        draw(total, total)
    kept = total - process.counted
    say(f"{BAR_END}  process {os.getpid()}: done. {kept} results were in the hub, the other {total - kept} it counted.")


async def show_progress(client: Client, total: int) -> None:
    """Draw how many results are in the hub, by what is on disk there, and die when it is time to."""
    kept = [0] * math.ceil(total / FILES_PER_BATCH)
    while True:
        for number, results in enumerate(kept):
            if results < FILES_PER_BATCH:
                history = (await client.get_status(BATCH.format(number), show_history=True)).history or []
                kept[number] = sum(event["event_type"] == "ActivityCompleted" for event in history)
        done = sum(kept)
        draw(done, total)
        if process.kill_at is not None and done >= process.kill_at:
            me = os.getpid()
            say(f"{BAR_END}  process {me}: {done} of {total} results are in the hub. Now: kill -9 {me}")
            os.kill(me, signal.SIGKILL)
        await trio.sleep(0.02)


def draw(done: int, total: int) -> None:
    """A bar on a terminal; elsewhere plain lines, about a tenth of the way apart, and the last one."""
    if done == process.drawn or (not TERMINAL and total > done < process.drawn + total / 10):
        return
    line = f"\r  [{'#' * (40 * done // total):<40}]" if TERMINAL else " "
    print(f"{line} {done}/{total} results", end="" if TERMINAL else "\n", flush=True)
    process.drawn = done


def say(line: str) -> None:
    print(line, flush=True)


# The process that the user starts: it only starts the others, looks at what they did, and counts again.


def run_worker(hub: str, *arguments: str, names: list[str]) -> int:
    """Run one to its end. Ctrl-C never reaches it, from its first moment on: this process is told, and kills it."""
    command = [sys.executable, __file__, "--hub", hub, "--worker", *arguments]
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # which the worker inherits, and keeps
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as worker:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            worker.communicate("\n".join(names))
        finally:
            worker.kill()  # of one that has ended, nothing
    if worker.returncode == -signal.SIGPIPE:
        raise BrokenPipeError
    return worker.returncode


def demonstrate(folder: Path, hub: str, names: list[str]) -> bool:
    say(f"{len(names)} files of text in {folder}; the hub is {hub}")
    say("\nThe first process starts the job: one activity for each file, totals in 27 entities.")
    kill_at = min(max(1, len(names) // 3), len(names) - 1)
    if not kill_at:
        say("  (One file has one result. It is killed before that, so this time nothing is kept.)")
    ended = run_worker(hub, "--kill-at", str(kill_at), names=names)
    if ended != -signal.SIGKILL:
        sys.exit(f"the first process should have died of SIGKILL, but ended with {ended}")
    say("  It died of SIGKILL: nothing was saved, closed or cleaned up on the way out.")
    say("\nThe second process opens the same hub and goes on from what is on disk.")
    if ended := run_worker(hub, names=[]):
        sys.exit(f"the second process failed with {ended}")
    report = trio.run(read_report, hub)
    say("\nThe same files, counted plainly in one process:")
    plain = dict.fromkeys(LETTERS, 0)
    for name in names:
        for letter, number in count_words(name).words.items():
            plain[letter] += number
    show_totals(report, plain)
    return report.totals == plain


async def read_report(hub: str) -> Report:
    async with open_hub(hub, app) as client:
        report = (await client.get_status(JOB)).output
    assert isinstance(report, Report)
    return report


def show_totals(report: Report, plain: dict[str, int]) -> None:
    cells = [f"{letter:>5} {report.totals[letter]:>9,} {plain[letter]:>9,}" for letter in LETTERS]
    say("   ".join([f"{'':>5} {'durable':>9} {'plain':>9}"] * 3))
    for row in range(9):
        say("   ".join(cells[row::9]))
    for problem in report.problems[:10]:
        say(f"  not counted: {os.fsdecode(unquote_to_bytes(problem))}")
    if len(report.problems) > 10:
        say(f"  ... and {len(report.problems) - 10} more that could not be counted")


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the words of a folder durably, through a kill -9.")
    parser.add_argument("folder", nargs="?", type=Path, default=STANDARD_LIBRARY, help="default: Python's sources")
    parser.add_argument("--limit", type=int, metavar="N", help="count the first N files only")
    parser.add_argument("--hub", metavar="DIR", help="keep the hub in this new folder (default: a temporary one)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kill-at", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a worker may die at any time, so this needs no more care
        process.kill_at = options.kill_at
        trio.run(work, options.hub, sys.stdin.read().split())
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold anything
    if not os.path.isdir(options.folder):
        parser.error(f"{options.folder} is no folder")
    if options.limit is not None and options.limit < 1:
        parser.error("--limit must be at least 1")
    if options.hub is not None and os.path.lexists(options.hub):
        parser.error(f"{options.hub} is there already: name a folder that is not, the hub is made in it")
    names = list(text_files(options.folder))[: options.limit]
    if not names:
        parser.error(f"there are no files of text in {options.folder}")
    for number in STOPS:
        signal.signal(number, signal.default_int_handler)  # from here on something is to clean up
    with tempfile.TemporaryDirectory(prefix="durio-") as temporary:
        if not demonstrate(options.folder, options.hub or temporary, names):
            sys.exit("NOT EQUAL. If no file was changed meanwhile, this is a bug in durio.")
    say("\nEqual: every file is in the totals exactly once, in spite of the kill -9.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        sys.exit(128 + signal.SIGPIPE)
