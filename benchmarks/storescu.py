"""C-STORE by dcmtk's storescu, the sender that most modalities and most tests are built on.

One process is one association over a scan of a folder. The time is that of the processes as a user would see
it, from the first start to the last end: the tool's own start and its scan are in it, for both servers alike.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.servers import AE_TITLE, Server, tool_environment


class SendFailed(RuntimeError):
    """A client tool reported a failure."""


def send(server: Server, folders: Sequence[Path], *, nodelay: bool, limit: float) -> float:
    """Send each folder by an association of its own, all at once, and return the seconds it took.

    Args:
        nodelay: switch Nagle's algorithm off, by the environment variable that dcmtk has for it. The
            unmodified tool leaves it on, and so do the modalities built on dcmtk.
        limit: seconds after which the tools are ended and the workload has failed.

    Raises:
        SendFailed: a tool failed or took longer than ``limit``.
    """
    command = ["storescu", "+sd", "+r", "-aec", AE_TITLE, "127.0.0.1", str(server.dicom_port)]
    started = time.perf_counter()
    senders = [
        subprocess.Popen(
            [*command, str(folder)],
            env=tool_environment(nodelay),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for folder in folders
    ]
    try:
        failures = []
        for sender in senders:
            output, _ = sender.communicate(timeout=max(0.1, limit - (time.perf_counter() - started)))
            if sender.returncode != 0:
                failures.append(
                    output.decode(errors="replace").strip()[-500:] or f"status {sender.returncode}"
                )
        taken = time.perf_counter() - started
    except subprocess.TimeoutExpired as error:
        raise SendFailed(f"storescu took more than {limit:.0f} s") from error
    finally:
        for sender in senders:
            if sender.poll() is None:
                sender.kill()
                sender.communicate()
    if failures:
        raise SendFailed(f"storescu failed: {failures[0]}")
    return taken
