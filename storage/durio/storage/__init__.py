"""Bytes on disk: ordered keys, sealed records, atomic and durable commits, one owner. Knows nothing about
actors.

Start with `Store` (the seam), `WriteSet` (what goes through it), `LmdbStore` (a hub folder) and `MemoryStore`
(its twin in memory, which can crash at a chosen commit).
"""

from durio.storage.api import Reads, Store
from durio.storage.backup import backup
from durio.storage.codec import seal, unseal
from durio.storage.errors import (
    Ambiguous,
    CorruptRecord,
    Fenced,
    FormatMismatch,
    HubBroken,
    HubClosed,
    HubDamaged,
    HubInUse,
    HubReadOnly,
    InboxHeld,
    KeyTooLong,
    NetworkFileSystem,
    NoSpace,
    NotAHub,
    ReservedKey,
    StorageError,
    UsedAfterFork,
)
from durio.storage.fifo import Bell, is_heard, ring
from durio.storage.folder import HubFolder
from durio.storage.inbox import Inbox
from durio.storage.keys import FIRST_KEY, after, from_text, from_u32, from_u64, text, u32, u64
from durio.storage.limits import FORMAT_VERSION, KEY_BYTES_MAX
from durio.storage.lock import OwnerLock
from durio.storage.memory import MemoryDisk, MemoryStore, SimulatedCrash, When
from durio.storage.notes import Found, Notes
from durio.storage.reader import HubReader
from durio.storage.report import Finding, Progress, Report
from durio.storage.store import LmdbStore
from durio.storage.upgrade import upgrade
from durio.storage.verify import verify
from durio.storage.writes import Bulk, Change, WriteSet, bulk_rows

__all__ = [
    "FIRST_KEY",
    "FORMAT_VERSION",
    "KEY_BYTES_MAX",
    "Ambiguous",
    "Bell",
    "Bulk",
    "Change",
    "CorruptRecord",
    "Fenced",
    "Finding",
    "FormatMismatch",
    "Found",
    "HubBroken",
    "HubClosed",
    "HubDamaged",
    "HubFolder",
    "HubInUse",
    "HubReadOnly",
    "HubReader",
    "Inbox",
    "InboxHeld",
    "KeyTooLong",
    "LmdbStore",
    "MemoryDisk",
    "MemoryStore",
    "NetworkFileSystem",
    "NoSpace",
    "NotAHub",
    "Notes",
    "OwnerLock",
    "Progress",
    "Reads",
    "Report",
    "ReservedKey",
    "SimulatedCrash",
    "StorageError",
    "Store",
    "UsedAfterFork",
    "When",
    "WriteSet",
    "after",
    "backup",
    "bulk_rows",
    "from_text",
    "from_u32",
    "from_u64",
    "is_heard",
    "ring",
    "seal",
    "text",
    "u32",
    "u64",
    "unseal",
    "upgrade",
    "verify",
]
