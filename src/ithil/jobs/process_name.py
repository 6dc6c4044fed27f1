"""A name for this process that no other one ever has, and from which its neighbours can tell that it is gone.

The name holds the boot of the kernel, the namespace of process ids, the id and the moment the process was
started. A process of the same boot and namespace can look whether that one still lives; of one elsewhere only
its lease can tell. Where the system does not tell these things the lease alone decides.
"""

from __future__ import annotations

import os
import secrets


def own_name() -> str:
    """The name of this process."""
    return f"{_surroundings()}:{os.getpid()}:{_start_of(os.getpid()) or '?'}:{secrets.token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether the process with that name is known to have ended; False if that cannot be known from here."""
    surroundings, _, rest = name.partition(":")
    pid, _, rest = rest.partition(":")
    start = rest.partition(":")[0]
    if not surroundings or surroundings != _surroundings() or not pid.isdigit() or start == "?":
        return False
    return _start_of(int(pid)) != start


def _surroundings() -> str:
    """What must be the same for process ids to mean the same; "" if it cannot be known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.readlink('/proc/self/ns/pid').strip('pid:[]')}"
    except OSError:
        return ""


def _start_of(pid: int) -> str | None:
    """When a process was started, in ticks since the boot; None if there is no such process, or a dead one."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return fields[19].decode()
