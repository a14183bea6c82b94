"""The part of a backup that reads: `python -m durio.storage.copier FROM TO locked|unlocked`, in a process of its own.

Its own, because a damaged file may end its reader, because the process that has the hub open may open it only once, and
because copying must not stop the hub's loop.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import lmdb

from durio.storage.environment import open_readonly, open_unlocked
from durio.storage.errors import HubBroken

LOCKED: Final = "locked"
UNLOCKED: Final = "unlocked"
"""Whether LMDB is told that the data are read. Without it nobody may write meanwhile."""


def main() -> int:
    """Copy one LMDB environment as of its last commit, without its free pages, and sync it; 0 if it is there.

    How long it becomes is on stdout first. If it fails, the result is the error code of LMDB or the system if it has
    one, and the message is on stderr.
    """
    source, target, mode = sys.argv[1:]
    data = os.path.join(target, "data.mdb")
    try:
        os.mkdir(target)
        with (open_readonly if mode == LOCKED else open_unlocked)(source) as env:
            sys.stdout.write(f"{bytes_of(env)}\n")
            sys.stdout.flush()
            env.copy(target, compact=True)
        fd = os.open(data, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        return _failed(error, error.errno or 1)
    except lmdb.Error as error:
        return _failed(error, getattr(error, "code", 1))
    except HubBroken as error:
        return _failed(error, 1)
    return 0


def bytes_of(env: lmdb.Environment) -> int:
    """How long a copy without free pages becomes: its two roots, and the pages of its one table."""
    stat = env.stat()
    pages: int = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
    return (2 + pages) * int(stat["psize"])


def _failed(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code if 0 < code < 128 else 1


if __name__ == "__main__":
    sys.exit(main())
