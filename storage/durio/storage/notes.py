"""Notes of what is running: a small file mapped into memory. It survives the process and costs no system call."""

import mmap
import os
from struct import Struct
from typing import Final, Self, TypeAlias
from zlib import crc32

import attrs

from durio.storage.limits import KEY_BYTES_MAX, NOTES_MAX

Buffer: TypeAlias = mmap.mmap | bytearray

_HEAD: Final = Struct(">HI")
_SLOT_BYTES: Final = _HEAD.size + KEY_BYTES_MAX + 3  # a multiple of 8
_OWNER: Final = b"durio notes 1 "
_TURN: Final = _SLOT_BYTES
_NOTHING: Final = bytes(2)

NOTES_BYTES: Final = (NOTES_MAX + 2) * _SLOT_BYTES
"""Size of the file: a slot for its owner, one for the turn on the loop, the others for what runs beside it."""


@attrs.frozen
class Found:
    """What an owner had noted when it ended: its epoch (0: unknown) and the keys."""

    epoch: int = 0
    keys: tuple[bytes, ...] = ()


class Notes:
    """What user code runs, each under the key of its message or job.

    - A note is there as soon as `note` or `begin` returns, whatever becomes of the process: `kill -9` and a
      segmentation fault leave it. It is never synced: a power cut may leave an older one.
    - A torn note, or one that does not fit its checksum, is no note.
    - What does not fit into the slots is not noted.
    - After `close` nothing is noted, and nothing was running; after `abandon` the notes stay as they are. Who never
      called `start` leaves those of the last owner.
    - `begin` and `end` may be called from any thread.
    """

    def __init__(self, buffer: Buffer | None = None) -> None:
        """`buffer`: what survives, in slots of 520 bytes; without one nobody will read them."""
        self._buffer: Buffer = bytearray(2 * _SLOT_BYTES) if buffer is None else buffer
        slots = len(self._buffer) // _SLOT_BYTES
        self._free = [slot * _SLOT_BYTES for slot in range(slots - 1, 1, -1)]
        self._started = False
        self._turn = b""
        """What the slot of the turn holds; empty for nothing."""

    @classmethod
    def in_file(cls, path: str) -> Self:
        """The notes in a file, which is made if it is missing. Only for the owner of the hub. Raises `OSError`."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, NOTES_BYTES)  # a full disk must not kill who writes through the map (SIGBUS)
            return cls(mmap.mmap(fd, NOTES_BYTES))
        finally:
            os.close(fd)

    def found(self) -> Found:
        """What the last owner had noted when it ended, before `start` clears it."""
        owner, buffer = self._read(0), self._buffer
        if owner is None or not owner.startswith(_OWNER):
            return Found()
        keys = [
            key
            for at in range(_TURN, len(buffer) - _SLOT_BYTES + 1, _SLOT_BYTES)
            if buffer[at : at + 2] != _NOTHING and (key := self._read(at)) is not None
        ]
        return Found(int.from_bytes(owner[len(_OWNER) :], "big"), tuple(dict.fromkeys(keys)))

    def start(self, epoch: int) -> None:
        """Clear everything: from now on these are the notes of the owner with this epoch."""
        self._started = True
        self._clear()
        self._write(0, _OWNER + epoch.to_bytes(8, "big"))

    def note(self, key: bytes) -> None:
        """The turn on the loop runs user code for this key now."""
        if key != self._turn:  # a turn notes its first message, and then each, before it runs code for it
            self._turn = key
            self._write(_TURN, key)

    def rest(self) -> None:
        """The turn on the loop runs no user code."""
        self._turn = b""
        self._buffer[_TURN : _TURN + 2] = _NOTHING

    def begin(self, key: bytes) -> int:
        """User code for this key runs beside the loop from now on, until `end` of what this returns."""
        try:
            at = self._free.pop()
        except IndexError:
            return 0
        self._write(at, key)
        return at

    def end(self, at: int) -> None:
        """It has ended."""
        if at:
            self._buffer[at : at + 2] = _NOTHING
            self._free.append(at)

    def close(self) -> None:
        """A clean end: nothing is running. May be called again."""
        if self._started:
            self._clear()
        self.abandon()

    def abandon(self) -> None:
        """The owner is dead: whatever it still does leaves the notes as they are."""
        # Threads that run on may still end what they began; where they write then nobody reads.
        self._buffer, self._free = bytearray(len(self._buffer)), []

    def _clear(self) -> None:
        self._turn = b""
        for at in range(0, len(self._buffer), _SLOT_BYTES):
            self._buffer[at : at + 2] = _NOTHING

    def _write(self, at: int, key: bytes) -> None:
        record = _HEAD.pack(len(key), crc32(key)) + key
        self._buffer[at : at + len(record)] = record

    def _read(self, at: int) -> bytes | None:
        record = self._buffer[at : at + _SLOT_BYTES]
        size, checksum = _HEAD.unpack_from(record)
        key = bytes(record[_HEAD.size : _HEAD.size + size])
        return key if 0 < size == len(key) <= KEY_BYTES_MAX and crc32(key) == checksum else None
