"""Every limit of the storage layer, its unit in its name, its reason beside it."""

from typing import Final

FORMAT_VERSION: Final = 3
"""Version of folder and records, in durio.json and in the data. Grows when an older durio could misread a hub.
2: locks, dead letters, sessions, large payloads in rows of their own; the number stands in the data, too."""

RECORD_VERSION: Final = 1
"""First byte of every record: the layout of the seal around the payload."""

MAP_SIZE_BYTES: Final = 1 << 40
"""Address space for the sparse LMDB map: never resized in use, because that breaks open readers."""

MAP_SIZE_BYTES_MIN: Final = 1 << 26
"""Where halving the map stops when address space is limited: a smaller map fills up at once."""

KEY_BYTES_MAX: Final = 511
"""LMDB's own limit, fixed when it is compiled."""

BULK_ROW_MAX: Final = 1024 * 1024
"""A long value is cut into rows of so many bytes, or characters of a text: little enough to be copied in a millisecond,
and much enough that page and row heads do not count."""

READERS_MAX: Final = 1000
"""Processes that may read at once: each client has a place. The preallocated lock file has room for 1,022."""

LOCK_FILE_BYTES: Final = 64 * 1024
"""Preallocated lock.mdb: LMDB writes it through a map, where a full disk would kill the process (SIGBUS)."""

ROOM_BYTES_MIN: Final = 1024 * 1024
"""LMDB reports a short write as an I/O error. With less free room than this, the disk was full."""

BALLAST_BYTES: Final = 4 * 1024 * 1024
"""Kept back for a full disk: the commits of some hundred terminations or purges, each a few copied pages of 4 KiB.
More would only be taken from the user."""

FINDINGS_MAX: Final = 100
"""Findings that a check names; the others it counts: who has a hundred restores a backup."""

NOTES_MAX: Final = 1022
"""What may be noted as running beside the loop: 520 bytes each, so the file has half a MiB. More is not noted."""

MARKER_BYTES_MAX: Final = 64 * 1024
"""Read of durio.json at most: it holds two fields; a longer file is not ours."""

PID_BYTES: Final = 20
"""Width of the pid in owner.lock: fixed, so that rewriting it needs no new block on a full disk."""

INBOX_ROWS_MAX: Final = 10_000
"""Most rows that wait in the inbox for the owner; then clients in other processes wait: a disk is not endless."""

INBOX_BYTES_MAX: Final = 256 * 1024 * 1024
"""Most bytes that wait in the inbox, for the same reason. One row always fits, however large."""
