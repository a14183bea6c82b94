"""Blobs: large payloads, each on disk once, and the short references that stand for them everywhere else."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import count
from struct import Struct
from typing import Final
from weakref import WeakValueDictionary

import durio.entities.keys as keys
from durio.entities.limits import BLOB_CACHE_BYTES_MAX, BLOB_ROWS_FREED_MAX, BLOB_SLICE_MS
from durio.storage import Bulk, Change, CorruptRecord, Reads, bulk_rows, u32

logger = logging.getLogger("durio.entities")

MAGIC: Final = b"\xff\xfe\xfd\xfcblob"
"""How a reference begins. UTF-8 has none of the first four bytes, so no JSON has."""

MARK: Final = MAGIC[:1]
"""A payload that begins so is a reference."""

_REFERENCE: Final = Struct(">8sQQQIc")  # magic, epoch, number, size in bytes, rows, shape
_TEXT: Final = b"t"
_JSON: Final = b"j"
_PIECE: Final = 1024 * 1024
DEAD: Final = keys.HOLDER + b"\xff"
"""Under these keys lie references to blobs that nobody holds and that are not deleted yet: no record has such a key."""


class Content:
    """What one blob holds, as far as it is in memory: a text, or JSON."""

    __slots__ = ("__weakref__", "digest", "durable", "reference", "size", "value")

    def __init__(self, reference: bytes, value: str | bytes | bytearray | None, *, durable: bool) -> None:
        self.reference = reference
        self.value = value
        self.size = payload_size(reference)
        self.durable = durable
        """Whether it can be read from the disk, too."""
        self.digest = b""

    def digesting(self) -> Iterator[None]:
        """Make the digest of what it holds; gives way after every piece."""
        if not self.digest:
            summed = hashlib.blake2b(digest_size=16)
            value = self.value or b""
            for start in range(0, len(value), _PIECE):
                piece = value[start : start + _PIECE]
                summed.update(piece.encode() if isinstance(piece, str) else piece)
                yield
            self.digest = summed.digest()


class Reference(bytes):
    """A payload that lies elsewhere: what records hold in its place. In memory it keeps its content alive."""

    content: Content

    @staticmethod
    def to(content: Content) -> Reference:
        """A reference to what is in memory."""
        reference = Reference(content.reference)
        reference.content = content
        return reference


class Vault:
    """The blobs of a hub.

    Guarantees: a blob becomes durable in the commit of the first record that refers to it, and goes in the commit of
    the last one that does not any more (G2); a record refers to nothing that is not there; the same text given again
    is the same blob as long as it is in memory; of what is durable at most `cache_bytes_max` are in memory, and one.

    Who holds what is counted by looking into the records that are written, whatever they are.
    """

    def __init__(
        self,
        store: Reads,
        epoch: int = 0,
        *,
        cache_bytes_max: int = BLOB_CACHE_BYTES_MAX,
        slice_ms: float = BLOB_SLICE_MS,
    ) -> None:
        """For reading alone no `epoch` is needed: it makes the numbers of new blobs unique."""
        self._store = store
        self._epoch = epoch
        self._numbers = count(1)
        self._contents: WeakValueDictionary[bytes, Content] = WeakValueDictionary()
        self._texts: WeakValueDictionary[int, Content] = WeakValueDictionary()
        self._cache: OrderedDict[bytes, Content] = OrderedDict()
        self._cache_bytes_max = cache_bytes_max
        self._cached_bytes = 0
        self._slice_s = slice_ms / 1000
        self._loading: dict[bytes, Iterator[None]] = {}
        self._held: dict[bytes, tuple[bytes, ...]] = {}
        self._counts: Counter[bytes] = Counter()
        self._dead: dict[bytes, None] = {}

    def recover(self) -> None:
        """Read again which records hold which blobs: a hub was opened, or what was not durable yet is void."""
        self._held, self._counts, self._dead = {}, Counter(), {}
        start = keys.HOLDER
        while rows := self._store.scan(start, keys.stop_of(keys.HOLDER), limit=1000):
            for key, row in rows:
                if key.startswith(DEAD):
                    self._dead[row] = None
                else:
                    held = tuple(references_in(row))
                    self._held[key[len(keys.HOLDER) :]] = held
                    self._counts.update(held)
            start = rows[-1][0] + b"\0"

    def contents_of(self, data: bytes) -> list[Content]:
        """The contents that an encoded record refers to, as far as they are in memory."""
        found = (self._contents.get(reference) for reference in references_in(data))
        return [content for content in found if content is not None]

    @property
    def cached_bytes(self) -> int:
        """How much of what is durable is in memory, too."""
        return self._cached_bytes

    @property
    def unfinished(self) -> bool:
        """Whether blobs that nobody holds wait for the next commit to be deleted."""
        return bool(self._dead)

    # What comes in and goes out

    def keep(self, value: str | bytes, size: int) -> Reference:
        """A reference to a text, or to JSON, of `size` bytes. It is durable with the first record that has it."""
        if isinstance(value, str):
            known = self._texts.get(id(value))
            if known is not None and known.value is value:
                return Reference.to(known)
        shape = _TEXT if isinstance(value, str) else _JSON
        packed = _REFERENCE.pack(MAGIC, self._epoch, next(self._numbers), size, bulk_rows(value), shape)
        content = self._contents[packed] = Content(packed, value, durable=False)
        if isinstance(value, str):
            self._texts[id(value)] = content
        return Reference.to(content)

    def value(self, reference: bytes) -> str | bytes | bytearray:
        """The text, or the JSON, at once. Raises `CorruptRecord` when it is not there or damaged."""
        content = self._find(reference)
        for _ in self._load(content):
            pass
        assert content.value is not None, "loaded"
        return content.value

    def same(self, one: bytes | None, other: bytes | None) -> bool:
        """Whether two payloads are equal, as far as that is known without reading."""
        if one == other or not is_blob(one) or not is_blob(other):
            return one == other
        first, second = self._contents.get(one or b""), self._contents.get(other or b"")
        if first is None or second is None or first.value is None or second.value is None:
            return False
        return first.size == second.size and first.value == second.value

    def loading(self, payload: bytes | None) -> Iterator[None]:
        """Bring what a payload refers to into memory; gives way after every row."""
        if payload is not None and payload[:1] == MARK:
            yield from self._load(self._find(payload))

    def is_loaded(self, peek: Callable[[], tuple[bytes, object] | None]) -> bool:
        """Whether the next message is in memory whole; False: ask again after others had their turn (G8)."""
        if not self._counts:
            return True
        mail = peek()
        return mail is None or self.ready(payloads_of(mail[1]))

    def ready(self, payloads: Iterable[bytes | None]) -> bool:
        """Whether all that the payloads refer to is in memory; False: ask again after others had their turn (G8)."""
        deadline_s = time.perf_counter() + self._slice_s
        for payload in payloads:
            if payload is None or payload[:1] != MARK:
                continue
            known = self._contents.get(payload)
            if known is not None and known.value is not None:
                continue
            for _ in self._loading.setdefault(payload, self.loading(payload)):
                if time.perf_counter() > deadline_s:
                    return False
            del self._loading[payload]
        return True

    # What is written

    def seal(self, changes: list[Change]) -> tuple[list[Content], tuple[Bulk, ...]]:
        """Account for the records of one commit: adds rows to `changes`; gives the blobs to be written with it."""
        marked = [(key, data) for key, data in changes if data is not None and 255 in data and MAGIC in data]
        held = self._held
        touched = [key for key, _ in changes if key in held] if held else []
        if not marked and not touched and not self._dead:
            return [], ()
        before = dict(self._counts)
        holds = {key: tuple(sorted(set(references_in(data)))) for key, data in marked}
        for key in {*touched, *holds}:
            self._hold(key, holds.get(key, ()), changes)
        new = [reference for reference in self._counts if reference not in before]
        self._free([reference for reference in before if reference not in self._counts], changes)
        return self._write(new, changes)

    def landed(self, contents: list[Content]) -> None:
        """They are durable: from now on they need not stay in memory."""
        for content in contents:
            content.durable = content.reference in self._counts
            if content.durable:
                self._use(content)

    def _hold(self, key: bytes, references: tuple[bytes, ...], changes: list[Change]) -> None:
        old = self._held.pop(key, ())
        if references:
            self._held[key] = references
        if references == old:
            return
        self._counts.update(references)
        self._counts.subtract(old)
        for reference in old:
            if not self._counts[reference]:
                del self._counts[reference]
        changes.append((keys.HOLDER + key, b"".join(references) or None))

    def _write(self, new: list[bytes], changes: list[Change]) -> tuple[list[Content], tuple[Bulk, ...]]:
        contents: list[Content] = []
        bulk: list[Bulk] = []
        for reference in new:
            content = self._contents.get(reference)
            if content is None or content.value is None:
                logger.error("a record refers to a payload that nobody has: %s", reference.hex())
                continue
            contents.append(content)
            value = bytes(content.value) if isinstance(content.value, bytearray) else content.value
            bulk.append((keys.blob(id_of(reference)), value))
            if reference in self._dead:  # it was to be deleted, and is wanted again
                del self._dead[reference]
                changes.append((DEAD + id_of(reference), None))
        return contents, tuple(bulk)

    def _free(self, unheld: list[bytes], changes: list[Change]) -> None:
        """Delete what nobody holds: a bounded number of rows; the rest with the next commits, whatever happens."""
        for reference in unheld:
            content = self._contents.get(reference)
            if content is not None:
                content.durable = False
            if self._cache.pop(reference, None) is not None:
                self._cached_bytes -= payload_size(reference)
        old, left = [reference for reference in self._dead if reference not in self._counts], BLOB_ROWS_FREED_MAX
        for reference in (*old, *unheld):
            rows = rows_of(reference)
            if rows <= left or left == BLOB_ROWS_FREED_MAX:
                left -= rows
                blob = keys.blob(id_of(reference))
                changes.extend((blob + u32(row), None) for row in range(rows))
                if reference in self._dead:
                    del self._dead[reference]
                    changes.append((DEAD + id_of(reference), None))
            elif reference not in self._dead:
                self._dead[reference] = None
                changes.append((DEAD + id_of(reference), reference))

    # What is in memory

    def _find(self, reference: bytes) -> Content:
        packed = bytes(reference)
        if len(packed) != _REFERENCE.size or not packed.startswith(MAGIC):
            raise CorruptRecord(packed[:64], "it is no reference to a large payload")
        content = self._contents.get(packed)
        if content is None:
            content = self._contents[packed] = Content(packed, None, durable=True)
        return content

    def _load(self, content: Content) -> Iterator[None]:
        if content.value is None:
            shape = content.reference[-1:]
            load = _load_text if shape == _TEXT else _load_json
            value = yield from load(self._store, content.reference)
            if content.value is None:
                content.value = value
                if isinstance(value, str):
                    self._texts[id(value)] = content
        if content.durable:
            self._use(content)

    def _use(self, content: Content) -> None:
        if content.reference not in self._cache:
            self._cached_bytes += content.size
        self._cache[content.reference] = content
        self._cache.move_to_end(content.reference)
        while self._cached_bytes > self._cache_bytes_max and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.size
            oldest.value = None


def payloads_of(message: object) -> list[bytes | None]:
    """The payloads of a message or of a history event."""
    events = getattr(message, "events", ())
    return [getattr(message, "input", None), getattr(message, "result", None), *(data for _, data in events)]


def contents_in(message: object) -> list[Content]:
    """What the new references in a message stand for."""
    return [payload.content for payload in payloads_of(message) if isinstance(payload, Reference)]


def is_blob(payload: bytes | None) -> bool:
    """Whether a payload is a reference."""
    return payload is not None and payload[:1] == MARK


def payload_size(payload: bytes | None) -> int:
    """How many bytes a payload has, wherever it lies."""
    if payload is None:
        return 0
    if len(payload) == _REFERENCE.size and payload.startswith(MAGIC):
        size: int = _REFERENCE.unpack(payload)[3]
        return size
    return len(payload)


def utf8_size(text: str) -> int:
    """How many bytes a text has in UTF-8. Raises `UnicodeEncodeError` for a lone surrogate."""
    if text.isascii():
        return len(text)
    return sum(len(text[start : start + _PIECE].encode()) for start in range(0, len(text), _PIECE))


def references_in(data: bytes) -> Iterator[bytes]:
    """The references inside a record."""
    at = data.find(MAGIC)
    while at >= 0:
        reference = data[at : at + _REFERENCE.size]
        if len(reference) == _REFERENCE.size:
            yield reference
        at = data.find(MAGIC, at + len(reference))


def id_of(reference: bytes) -> bytes:
    """Which blob: unique in its hub, over all owners."""
    return reference[len(MAGIC) : len(MAGIC) + 16]


def rows_of(reference: bytes) -> int:
    """How many rows it has."""
    rows: int = _REFERENCE.unpack(reference)[4]
    return rows


def _row(store: Reads, reference: bytes, number: int) -> bytes:
    key = keys.blob(id_of(reference)) + u32(number)
    row = store.get(key)
    if row is None:
        raise CorruptRecord(key, "it holds a part of a large payload, and is not there")
    return row


def _load_text(store: Reads, reference: bytes) -> Generator[None, None, str]:
    text = ""
    for number in range(rows_of(reference)):
        text += _row(store, reference, number).decode()  # grows in place: CPython moves pages, and copies nothing
        yield
    return text


def _load_json(store: Reads, reference: bytes) -> Generator[None, None, bytearray]:
    data = bytearray()
    for number in range(rows_of(reference)):
        data += _row(store, reference, number)
        yield
    size = payload_size(reference)
    if len(data) != size:
        raise CorruptRecord(keys.blob(id_of(reference)), f"{len(data)} bytes of a payload of {size}")
    return data
