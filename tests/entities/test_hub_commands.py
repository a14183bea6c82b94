"""What is asked of the hub itself, and not of an actor."""

from __future__ import annotations

import durio.entities.keys as keys
from durio.entities import MAIL_LANE, Answer, HubCommand, Operation, refuse
from durio.entities.changes import Reply
from durio.storage import MemoryDisk
from tests.entities.test_kernel import Driver


def test_a_command_is_done_in_the_batch_that_fills_and_answered_with_it() -> None:
    """G2, G5: what is asked of the hub is durable together with its answer, and not answered before."""
    driver = Driver(MemoryDisk())
    asked: list[HubCommand] = []

    def note(command: HubCommand) -> Answer:
        asked.append(command)
        return Answer(value=b"1")

    driver.kernel.commands.add("note", note)
    command = HubCommand(at_us=1, reply="c1", name="note", subject="this")
    driver.kernel.submit("", command, MAIL_LANE, "c1", tell=False)
    assert asked == [command]
    assert not driver.kernel.runnable
    assert driver.commit() == [Reply("c1", Answer(value=b"1"))]


def test_a_repeated_command_gets_the_first_answer() -> None:
    """G3: a command with a request id is done once."""
    driver = Driver(MemoryDisk())
    done: list[str] = []

    def note(command: HubCommand) -> Answer:
        done.append(command.subject)
        return Answer(value=str(len(done)).encode())

    driver.kernel.commands.add("note", note)
    for _ in range(2):
        command = HubCommand(at_us=1, reply="rid", name="note")
        if driver.kernel.admit("", "rid", b"same"):
            driver.kernel.submit("", command, MAIL_LANE, "rid", tell=False, digest=b"same")
        assert driver.commit() == [Reply("rid", Answer(value=b"1"))]
    assert len(done) == 1


def test_what_the_hub_does_not_know_is_refused() -> None:
    """G31: an unknown command is an error to the client; nothing is changed."""
    driver = Driver(MemoryDisk())
    for message in (HubCommand(at_us=1, name="dance"), Operation(at_us=1, name="add")):
        driver.kernel.submit("", message, MAIL_LANE, "c1", tell=False)
        expected = refuse(ValueError(f"the hub knows no command {message!r}"))
        assert driver.commit() == [Reply("c1", expected)]
    assert not driver.store.scan(keys.MAIL)
