"""The messages that entities take, and those that they may send to other kinds of actors. Fields are only appended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from durio.entities.address import check_text
from durio.entities.failures import Failure, refusal_of
from durio.entities.limits import TAGS_MAX

UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What bytes that are no message raise when they are decoded."""

CONTROL_LANE: Final = 0
"""Looked at first when a turn starts: terminate, suspend, resume (G26). An entity's: from who holds its lock (G12)."""
HEAD_LANE: Final = 1
"""Before all mail that waits already: the message of continue-as-new (G23)."""
MAIL_LANE: Final = 2
"""Everything else, in the order in which the owner took it in (G4)."""


REQUEST_TOKEN: Final = "r"
"""A reply token that starts so names a request id; all others are the driver's own."""


class Message(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """Base of all messages. `at_us`: when it was taken in; `reply`: the token under which a client waits, or empty."""

    at_us: int
    reply: str = ""


class Caller(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The action of an orchestration that waits for an answer."""

    address: str
    execution: str
    action: int


class Operation(Message, frozen=True, kw_only=True, tag="op", gc=False):
    """Run an operation of an entity. Without `caller` and `reply` it is a signal."""

    name: str
    input: bytes | None = None
    sender: str = ""
    caller: Caller | None = None
    grant: str = ""
    """The lock request under whose grant it is to run; empty outside of a critical section (G12)."""
    behalf: Caller | None = None
    """The activity that waits for the answer of a client's call, if it comes from one."""


class LockRequest(Message, frozen=True, kw_only=True, tag="lock", gc=False):
    """Lock the entity for a critical section. `request` names the request; its first half is the execution's id."""

    request: str
    caller: Caller


class Release(Message, frozen=True, kw_only=True, tag="release", gc=False):
    """The lock that `request` asked for is not needed (any more), whether it was granted or not."""

    request: str


class Refuse(Message, frozen=True, kw_only=True, tag="refuse", gc=False):
    """The unread message under `key` would wait for ever: answer it with `failure`, if it is still there."""

    key: bytes
    failure: Failure


EntityMessage = Operation | LockRequest | Release | Refuse


def entity_messages() -> msgspec.msgpack.Decoder[EntityMessage]:
    """Decodes a row of an entity's mailbox."""
    return msgspec.msgpack.Decoder(EntityMessage)


class LockAnswered(Message, frozen=True, kw_only=True, tag="locked", gc=False):
    """An entity's answer to a lock request: granted, or why not."""

    execution: str
    action: int
    entity: str
    failure: Failure | None = None


class Answered(Message, frozen=True, kw_only=True, tag="answered", gc=False):
    """The answer of an entity to a call from an orchestration."""

    execution: str
    action: int
    result: bytes | None = None
    failure: Failure | None = None


class Parent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The orchestration that started a child, and its ancestors, the top-most first."""

    address: str
    life: str
    execution: str
    action: int
    ancestors: tuple[str, ...]


class StartInstance(Message, frozen=True, kw_only=True, tag="start", gc=False):
    """Begin a life of an orchestration instance, under the policies of G15."""

    name: str
    version: str | None = None
    input: bytes | None = None
    if_running: str = "raise"
    if_finished: str = "start"
    due_us: int | None = None
    events: tuple[tuple[str, bytes], ...] = ()
    tags: dict[str, str] | None = None
    parent: Parent | None = None
    sender: str = ""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a turn says to the client who asked: a value, or a failure (an operation's, or a refusal)."""

    value: bytes | None = None
    failure: Failure | None = None
    refusal: str = ""


def refuse(error: Exception) -> Answer:
    """The answer that makes the client raise `error`."""
    return Answer(failure=refusal_of(error), refusal=type(error).__name__)


class HubCommand(Message, frozen=True, kw_only=True, tag="hub", gc=False):
    """Asked of the hub itself, at the address "": done at once, in the batch that fills (`Kernel.commands`)."""

    name: str
    subject: str = ""


class JobCrashed(Message, frozen=True, kw_only=True, tag="crashed", gc=False):
    """A job was running at so many unclean ends that it is not started again (G24)."""

    execution: str
    action: int
    name: str
    times: int


class Unreadable(Message, frozen=True, kw_only=True, tag="unreadable", gc=False):
    """Stands for a message that cannot be decoded: its bytes, why not, and who waits for it as far as that shows."""

    raw: bytes
    why: str
    caller: Caller | None = None

    @staticmethod
    def of(raw: bytes, error: Exception) -> Unreadable:
        """What stands for a row of a mailbox."""
        try:
            return msgspec.msgpack.decode(raw, type=Unreadable)  # it waited in a mailbox as one already
        except UNDECODABLE:
            at_us, reply, caller = _waiting_for(raw)
            return Unreadable(at_us=at_us, reply=reply, raw=raw, why=str(error), caller=caller)


class Job(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Durable work that starts after its commit, at least once, and whose result comes back as a message (G24)."""

    address: str
    execution: str
    action: int
    name: str
    input: bytes | None
    idempotency_key: str
    attempt: int = 1
    timeout_ms: int | None = None
    tags: dict[str, str] | None = None


class Timer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that takes its place in a mailbox when it becomes due. `message` is encoded."""

    address: str
    message: bytes


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request id that was taken, a digest of what it asked, and the answer once there is one (G3)."""

    digest: bytes
    at_us: int
    answer: Answer | None = None


class Tombstone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rows that are cut off logically and still have to be deleted: all keys from `start` to before `stop`."""

    start: bytes
    stop: bytes


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str] | None:
    """Give tags back if they can be stored. Raises `TypeError` for anything but text, `ValueError` for too many."""
    if not tags:
        return None
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags are a mapping of str to str, not {tags!r}")
    if len(tags) > TAGS_MAX:
        raise ValueError(f"there are at most {TAGS_MAX} tags, not {len(tags)}")
    for name, value in tags.items():
        check_text(name, "the name of a tag")
        check_text(value, "the value of a tag")
    return dict(tags)


def _waiting_for(raw: bytes) -> tuple[int, str, Caller | None]:
    """The time, the reply token and the caller that a message of another shape holds, if it is one at all."""
    try:
        match msgspec.msgpack.decode(raw):
            case ["op", int(at_us), str(reply), _, _, _, [str(address), str(execution), int(action)], *_]:
                return at_us, reply, Caller(address, execution, action)
            case [str(), int(at_us), str(reply), *_]:
                return at_us, reply, None
            case _:
                return 0, "", None
    except UNDECODABLE:
        return 0, "", None


def _plain(value: object) -> bytes:
    """A reference to a large payload is bytes with something attached; only the bytes are written."""
    if isinstance(value, bytes):
        return bytes(value)
    raise NotImplementedError(type(value))


encode_record: Final = msgspec.msgpack.Encoder(enc_hook=_plain).encode
