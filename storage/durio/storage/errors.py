"""Everything that can go wrong with bytes on disk.

Each error keeps its facts as attributes, survives pickling, and says who must act. None of them is worth a
blind retry, except where its docstring says so.
"""


class StorageError(Exception):
    """Base of all errors of `durio.storage`. Catch it to treat "the disk said no" as one case."""


class HubInUse(StorageError):
    """Another owner has the hub open, maybe in this very process.

    The operator must act: stop that process, or use another folder. Trying again helps once that process has
    ended.
    """

    def __init__(self, path: str, pid: int | None) -> None:
        super().__init__(path, pid)
        self.path = path
        self.pid = pid

    def __str__(self) -> str:
        who = "a process whose pid is not known" if self.pid is None else f"process {self.pid}"
        return (
            f"the hub {self.path!r} is in use by {who}: a hub has one owner at a time; "
            "stop that one, or use another folder"
        )


class HubReadOnly(StorageError):
    """The hub may not be written to by this process, and what was asked needs that.

    Reading needs it, too, while the hub is owned: LMDB keeps its readers in a file. Whoever runs the command must act:
    be the user who may write to the hub, or make a copy of the folder.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return (
            f"the hub {self.path!r} may not be written to from here, and {self.why}; "
            "be the user who may write to it, or copy it while nobody owns it"
        )


class NotAHub(StorageError):
    """The folder holds something else. Nothing in it was changed.

    Whoever gave the path must act: give an empty folder, a new one, or a hub.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"{self.path!r} is not a hub: {self.why}; give a new or empty folder, or one that durio made"


class FormatMismatch(StorageError):
    """The hub was written by a durio with another disk format. Nothing in it was changed.

    The operator must act: bring an older hub up to date with `upgrade` (it makes a copy first), or run the newer durio.
    """

    def __init__(self, path: str, found: int, expected: int) -> None:
        super().__init__(path, found, expected)
        self.path = path
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        newer = self.found > self.expected
        what = (
            "use the newer durio that wrote it"
            if newer
            else "durio.orchestration.upgrade copies it and brings it up to date"
        )
        return f"the hub {self.path!r} has disk format {self.found}, this durio reads format {self.expected}: {what}"


class NetworkFileSystem(StorageError):
    """The folder is on a network file system, where neither locks nor memory maps can be trusted.

    The operator must act: put the hub on a local disk.
    """

    def __init__(self, path: str, fs_type: str) -> None:
        super().__init__(path, fs_type)
        self.path = path
        self.fs_type = fs_type

    def __str__(self) -> str:
        return f"{self.path!r} is on a network file system ({self.fs_type}): a hub needs a local disk"


class HubDamaged(StorageError):
    """The hub's data are not as they were written: cut, scribbled on, or gone. Nothing was changed or repaired.

    The operator must act: check the disk and restore a backup. `verify` names all that is wrong.
    """

    def __init__(self, path: str, finding: str, others: int) -> None:
        super().__init__(path, finding, others)
        self.path = path
        self.finding = finding
        self.others = others

    def __str__(self) -> str:
        return (
            f"the hub {self.path!r} is damaged ({self.finding}; {self.others} more findings): nothing was changed; "
            "check the disk and restore a backup; `verify` names everything"
        )


class CorruptRecord(StorageError):
    """Stored bytes do not fit their checksum, their version or their key. No data was made of them.

    The operator must act: the disk or the file is damaged; check it and restore a backup.
    """

    def __init__(self, key: bytes, why: str) -> None:
        super().__init__(key, why)
        self.key = key
        self.why = why

    def __str__(self) -> str:
        return f"the record at key {self.key!r} is damaged: {self.why}; check the disk and restore a backup"


class KeyTooLong(StorageError):
    """A key is longer than the store takes. Nothing was written.

    The caller must act: a bug in the layer that makes the keys, since that one has to limit names.
    """

    def __init__(self, key_bytes: int, limit_bytes: int) -> None:
        super().__init__(key_bytes, limit_bytes)
        self.key_bytes = key_bytes
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return (
            f"a key of {self.key_bytes} bytes is too long, at most {self.limit_bytes} are possible: "
            "shorten the name in it"
        )


class ReservedKey(StorageError):
    """A write set touches a key that is empty or starts with a zero byte. Nothing was written.

    The caller must act: a bug in the layer that makes the keys, those are the store's own.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the key {self.key!r} is reserved for the store: start keys with a byte other than zero"


class Fenced(StorageError):
    """Another owner took the hub over: the epoch on disk is not ours. Nothing of this write set was written.

    The owner must act: drop everything in memory and close. Never retry with the same handle.
    """

    def __init__(self, mine: int, found: int) -> None:
        super().__init__(mine, found)
        self.mine = mine
        self.found = found

    def __str__(self) -> str:
        return f"this owner has epoch {self.mine}, the disk says {self.found}: another owner took over; close this one"


class Ambiguous(StorageError):
    """It is not known whether a commit is on disk, and this handle cannot find out.

    The owner must act: close, reopen, and ask `has_commit(commit)` before anything is answered.
    """

    def __init__(self, commit: int) -> None:
        super().__init__(commit)
        self.commit = commit

    def __str__(self) -> str:
        return (
            f"it is not known whether commit {self.commit} is on disk: close the hub, open it again and ask has_commit"
        )


class NoSpace(StorageError):
    """There is no room on the disk. Nothing of this write set was written, everything before it stays.

    The operator must make room; the same handle goes on then, so trying again later is right.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"no space left for {self.path!r}: make room on the disk; nothing acknowledged is lost"


class InboxHeld(StorageError):
    """Another client of the hub keeps its inbox locked for too long: it is stopped, perhaps in a debugger.

    The operator must act: let that process go on, or kill it. Nothing was written, and the owner is not affected.
    """

    def __init__(self, path: str, pid: int | None) -> None:
        super().__init__(path, pid)
        self.path = path
        self.pid = pid

    def __str__(self) -> str:
        who = "a process whose pid is not known" if self.pid is None else f"process {self.pid}"
        return f"{who} keeps the inbox of the hub {self.path!r} locked: is it stopped? let it go on, or kill it"


class HubBroken(StorageError):
    """A read or a write failed in a way that is not "no space". This handle refuses everything from now on.

    The owner must act: close, reopen with a check. The operator should look at the disk.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the hub is broken for this owner ({self.why}): close it, check the disk, and open it again"


class HubClosed(StorageError):
    """The handle was closed before this call. The caller must act: open the hub again."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"the hub {self.path!r} was closed: open it again"


class UsedAfterFork(StorageError):
    """A handle was used in a forked child. Nothing was touched.

    The caller must act: open hubs after forking, or start children with spawn.
    """

    def __init__(self, pid: int, owner_pid: int) -> None:
        super().__init__(pid, owner_pid)
        self.pid = pid
        self.owner_pid = owner_pid

    def __str__(self) -> str:
        return (
            f"process {self.pid} uses a hub that process {self.owner_pid} opened before it forked: "
            "no handle works after a fork; open the hub in the process that uses it"
        )
