"""A hub on disk: which files it has, how it is made, and what is not one.

- `<hub>/durio.json` says that this is a hub, and of which format
- `<hub>/owner.lock` is locked by the owner and holds its pid
- `<hub>/closed.json` says how its last owner closed it; an open or killed one has none
- `<hub>/ballast` keeps some room back for a full disk; it holds no data
- `<hub>/running` holds notes of what user code the owner runs; a clean end clears them
- `<hub>/0/` is partition 0: data.mdb and lock.mdb of LMDB
- `<hub>/inbox/` is what clients in other processes write to, `<hub>/inbox.lock` whose turn it is
- `<hub>/bell` wakes the owner, `<hub>/sessions/` holds a bell for each of those clients; both hold no data
"""

import contextlib
import json
import os
from typing import Any, Final, Self

import attrs

from durio.storage.errors import FormatMismatch, NetworkFileSystem, NotAHub
from durio.storage.limits import FORMAT_VERSION, MARKER_BYTES_MAX
from durio.storage.mounts import NETWORK_FS_TYPES, fs_type_of

_MARKER: Final = "durio.json"
_MARKER_TEMPORARY: Final = "durio.json.tmp"
_OWNER_LOCK: Final = "owner.lock"
_BALLAST: Final = "ballast"
_CLOSED: Final = "closed.json"
_RUNNING: Final = "running"
_PARTITION: Final = "0"
_PRODUCT: Final = "durio"
_MAKING: Final = "making"

# What a crash of `make` and `complete` can leave behind, and what mkfs puts into an empty volume.
_LEFTOVERS: Final = frozenset((_MARKER_TEMPORARY, _OWNER_LOCK, _PARTITION, "lost+found"))


@attrs.frozen
class HubFolder:
    """The folder of one hub. `path` is absolute and resolved. Knows names and files, nothing of what is in
    LMDB.
    """

    path: str

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Self:
        """The hub folder at `path`, there or not; symbolic links are followed."""
        return cls(os.path.realpath(path))

    @property
    def owner_lock(self) -> str:
        """Path of the file that the owner locks."""
        return os.path.join(self.path, _OWNER_LOCK)

    @property
    def partition(self) -> str:
        """Path of the folder that is the LMDB environment."""
        return os.path.join(self.path, _PARTITION)

    @property
    def ballast(self) -> str:
        """Path of the file that keeps room back."""
        return os.path.join(self.path, _BALLAST)

    @property
    def closed(self) -> str:
        """Path of the mark of how the hub was closed."""
        return os.path.join(self.path, _CLOSED)

    @property
    def data(self) -> str:
        """Path of LMDB's file of data."""
        return os.path.join(self.partition, "data.mdb")

    @property
    def inbox(self) -> str:
        """Path of the folder that is the LMDB environment of the inbox."""
        return os.path.join(self.path, "inbox")

    @property
    def inbox_data(self) -> str:
        """Path of LMDB's file of the inbox."""
        return os.path.join(self.inbox, "data.mdb")

    @property
    def inbox_lock(self) -> str:
        """Path of the file that a client locks while it writes to the inbox."""
        return os.path.join(self.path, "inbox.lock")

    @property
    def bell(self) -> str:
        """Path of the owner's bell."""
        return os.path.join(self.path, "bell")

    @property
    def sessions(self) -> str:
        """Path of the folder with the bells of clients."""
        return os.path.join(self.path, "sessions")

    @property
    def running(self) -> str:
        """Path of the file with the notes of what is running."""
        return os.path.join(self.path, _RUNNING)

    @property
    def exists(self) -> bool:
        """Whether a hub is there, at least one in the making."""
        return os.path.exists(os.path.join(self.path, _MARKER))

    @property
    def may_be_written(self) -> bool:
        """Whether this process may write to the hub as far as clients do, by the rights of its folders."""
        folders = (path for path in (self.path, self.inbox, self.sessions) if os.path.exists(path))
        return all(os.access(path, os.W_OK | os.X_OK) for path in folders)

    @property
    def is_whole(self) -> bool:
        """Whether the hub was made to its end, so that it has data. Only after `check`."""
        return not self._marker().get(_MAKING, False)

    def check(self, mount_table: str = "") -> None:
        """Refuse what cannot be a hub, changing nothing: a folder that is missing, empty or a hub is fine.

        `mount_table`: text of /proc/self/mountinfo; empty skips that check. Raises `NetworkFileSystem`,
        `NotAHub`, `FormatMismatch`, and `OSError` when the folder cannot be read.
        """
        fs_type = fs_type_of(self.path, mount_table)
        if fs_type in NETWORK_FS_TYPES:
            raise NetworkFileSystem(self.path, fs_type or "")
        try:
            names = set(os.listdir(self.path))
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise NotAHub(self.path, "it is no folder") from None
        if _MARKER in names:
            self._check_marker()
        else:
            self._check_empty(names)

    def make(self) -> None:
        """Create the folder, and those above it, if it is missing; what is created survives a power cut."""
        missing: list[str] = []
        path = self.path
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            sync_folder(os.path.dirname(path))

    def complete(self) -> None:
        """Create what a hub needs and does not have yet. Only for the owner, after `check`."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.partition)
        if self.exists:
            return
        # The marker comes last: where it is, everything above it is durable.
        with contextlib.suppress(PermissionError):
            sync_folder(os.path.dirname(self.path))
        self._write_marker(making=True)

    def data_identity(self) -> tuple[int, int] | None:
        """Which file the data file is: another one has another identity, None means that it is gone."""
        try:
            stat = os.stat(self.data)
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def complete_for_clients(self) -> None:
        """Create what clients in other processes need and what is not there yet. For a hub that exists."""
        missing = [path for path in (self.inbox, self.sessions) if not os.path.isdir(path)]
        for path in missing:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
        if missing:
            sync_folder(self.path)

    def sync(self) -> None:
        """Make the names of all files in the hub durable; from now on it is whole, and must have its data."""
        sync_folder(self.partition)
        if self.is_whole:
            sync_folder(self.path)
        else:
            self._write_marker(making=False)

    def declare(self, format_version: int) -> None:
        """Say that the folder is a whole hub of that format, durably; its data are there already."""
        sync_folder(self.partition)
        self._write_marker(making=False, format_version=format_version)

    def format_version(self) -> int:
        """Of which format the hub says that it is. Raises `NotAHub`."""
        if not self.exists:
            raise NotAHub(self.path, "there is no hub")
        match self._marker():
            case {"product": str(product), "format": int(found)} if product == _PRODUCT:
                return found
            case _:
                raise NotAHub(self.path, f"{_MARKER} does not say product {_PRODUCT!r} and a format number")

    def _write_marker(self, *, making: bool, format_version: int = FORMAT_VERSION) -> None:
        content = {"format": format_version, "product": _PRODUCT} | ({_MAKING: True} if making else {})
        sync_folder(self.path)
        temporary = os.path.join(self.path, _MARKER_TEMPORARY)
        with open(temporary, "w", encoding="utf-8") as marker:
            json.dump(content, marker)
            marker.flush()
            os.fsync(marker.fileno())
        os.rename(temporary, os.path.join(self.path, _MARKER))
        sync_folder(self.path)

    def _marker(self) -> Any:
        try:
            with open(os.path.join(self.path, _MARKER), "rb") as marker:
                return json.loads(marker.read(MARKER_BYTES_MAX))
        except IsADirectoryError:
            raise NotAHub(self.path, f"{_MARKER} is a folder") from None
        except (ValueError, RecursionError) as error:
            raise NotAHub(self.path, f"{_MARKER} cannot be read ({error})") from error

    def _check_marker(self) -> None:
        found = self.format_version()
        if found != FORMAT_VERSION:
            raise FormatMismatch(self.path, found, FORMAT_VERSION)

    def _check_empty(self, names: set[str]) -> None:
        strangers = sorted(names - _LEFTOVERS)
        if strangers:
            raise NotAHub(self.path, f"it has no {_MARKER}, and holds {strangers[0]!r}")
        if _PARTITION not in names:
            return
        # No crash leaves data without the marker, so somebody removed the marker: not ours to repair
        # silently.
        if not os.path.isdir(self.partition) or os.listdir(self.partition):
            raise NotAHub(self.path, f"it holds data, but its {_MARKER} is gone: restore that file")


def sync_folder(path: str) -> None:
    """fsync of a folder: the names in it survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
