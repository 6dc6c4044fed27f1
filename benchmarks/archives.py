"""The workload of archives: a ZIP of everything that was stored, from the request to its last byte.

The ZIP is drawn by this process over the loopback and thrown away, so what is measured is the server. The rate
is in megabytes of DICOM files, not of the ZIP: a server that compresses more must not look slower for it.
"""

from __future__ import annotations

import http.client
import json
import struct
import time

from benchmarks.datasets import InstanceSet
from benchmarks.servers import Server, ServerFailed

_PIECE = 1024 * 1024
_LIMIT = 300.0  # seconds of silence
_END = struct.Struct("<4s4xHHIIH")
_LONGEST_COMMENT = 64 * 1024


def rate(server: Server, instances: InstanceSet, path: str) -> float:
    """Megabytes of stored files a second of a ZIP of all studies of `instances`, by POST to `path`.

    Raises ServerFailed if the ZIP is refused, broken off, or lacks an instance.
    """
    size = sum(file.stat().st_size for part in instances.parts for file in part.iterdir())
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=_LIMIT)
    try:
        started = time.monotonic()
        connection.request("POST", path, json.dumps(instances.study_ids()))
        answer = connection.getresponse()
        if answer.status != 200:
            raise ServerFailed(f"{path} answered {answer.status}")
        last = b""
        while piece := answer.read(_PIECE):
            last = (last + piece)[-_LONGEST_COMMENT:]
        taken = time.monotonic() - started
    except (http.client.HTTPException, OSError) as error:
        raise ServerFailed(f"{path} broke off: {error}") from error
    finally:
        connection.close()
    if _entries(last) < instances.count:
        raise ServerFailed(f"the ZIP of {path} lacks instances")
    return size / taken / 1e6


def _entries(end: bytes) -> int:
    """The number of entries that the end of a ZIP tells."""
    place = end.rfind(b"PK\x05\x06")
    if place < 0 or place + _END.size > len(end):
        raise ServerFailed("this is no ZIP")
    return int(_END.unpack_from(end, place)[2])
