"""Whether a file is on another machine: there a write-ahead log does not work. [ENV-SQLITE-6]"""

import os
from pathlib import Path
from typing import Final

from worq.errors import BackendUnsupported

MOUNTS: Final = Path("/proc/self/mountinfo")
"""Linux says here what is mounted where; elsewhere nobody is asked."""
ON_OTHER_MACHINES: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "glusterfs", "fuse.glusterfs",
     "fuse.sshfs", "fuse.s3fs", "beegfs", "gpfs", "ocfs2", "gfs2"}
)  # fmt: skip


def check(path: str) -> None:
    """Refuse a file on a network file system with BackendUnsupported."""
    kind = kind_of(path)
    if kind in ON_OTHER_MACHINES:
        raise BackendUnsupported(
            f"{path} is on a network file system ({kind}), where processes do not see each other's"
            " commits: use a local file, or Redis"
        )


def kind_of(path: str) -> str:
    """The type of the file system that a path is on; '' if nobody knows."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    found, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mounted_on = fields.split()[4].replace("\\040", " ")
        if _is_within(path, mounted_on) and len(mounted_on) >= len(found):
            found, kind = mounted_on, rest.split()[0]
    return kind


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder
