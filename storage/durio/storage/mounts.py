"""Which file system a path is on, by the kernel's mount table."""

import re
from typing import Final

_MOUNT_TABLE: Final = "/proc/self/mountinfo"
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")

NETWORK_FS_TYPES: Final = frozenset(
    (
        "nfs",
        "nfs3",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "9p",
        "afs",
        "auristorfs",
        "coda",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "orangefs",
        "pvfs2",
        "ocfs2",
        "gfs",
        "gfs2",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.s3fs",
        "fuse.rclone",
        "fuse.gcsfuse",
        "fuse.juicefs",
        "fuse.davfs2",
        "fuse.curlftpfs",
        "fuse.moosefs",
    )
)
"""Types that reach other machines: there, locks and maps of one machine say nothing about the others."""


def read_mount_table() -> str:
    """The kernel's table of mounts; empty where the system has none."""
    try:
        with open(_MOUNT_TABLE, encoding="utf-8", errors="surrogateescape") as table:
            return table.read()
    except OSError:
        return ""


def fs_type_of(path: str, mount_table: str) -> str | None:
    """Type of the file system that holds the absolute, resolved `path`; None if the table does not say.

    `mount_table` is text in the format of /proc/self/mountinfo.
    """
    best_point, best_type = "", None
    for line in mount_table.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split()
        if not separator or len(fields) < 5 or not right:
            continue
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4])
        # A later mount on the same point covers the earlier one, hence >=.
        if len(point) >= len(best_point) and _is_under(path, point):
            best_point, best_type = point, right.split()[0]
    return best_type


def _is_under(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
