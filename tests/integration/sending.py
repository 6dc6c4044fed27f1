"""Sending instances by C-STORE with our own requestor, keeping note of what was acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.data.synthetic import Synthetic
from tests.servers.ithil import Ithil
from tests.servers.process import DicomServer

from ithil.dicom.identifiers import public_ids
from ithil.dicom.scan import scan
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.network.errors import AssociationError
from ithil.network.requestor import Requestor, connect

CT = "1.2.840.10008.5.1.4.1.1.2"
DEADLINE = 60.0  # seconds


def associate(server: DicomServer, *, calling: str = "TESTER", called: str = "ORTHANC") -> Requestor:
    """An association that can send CT images."""
    return connect(
        "127.0.0.1",
        server.dicom_port,
        called=called,
        calling=calling,
        contexts=[(CT, [EXPLICIT_LITTLE])],
        timeout=DEADLINE,
    )


def data_set(content: bytes) -> bytes:
    """A file without its preamble and file meta information."""
    return content[scan(content, frozenset()).dataset_offset :]


def store(peer: Requestor, instance: Synthetic) -> int:
    """Send one instance; the status of the response."""
    return peer.store(CT, instance.sop_uid, EXPLICIT_LITTLE, [data_set(instance.content)]).status


def send_until_it_breaks(
    server: DicomServer, instances: Iterable[Synthetic], acknowledged: Callable[[Synthetic], None]
) -> bool:
    """Send instances, telling of each that was acknowledged; false if the association ended before the end."""
    try:
        with associate(server) as peer:
            for instance in instances:
                if store(peer, instance) == 0:
                    acknowledged(instance)
    except AssociationError:
        return False
    return True


def instance_id(instance: Synthetic) -> str:
    """The public id of an instance."""
    return public_ids(instance.patient_id, instance.study_uid, instance.series_uid, instance.sop_uid)[3]


def stored_data_set(server: DicomServer, instance: Synthetic) -> bytes:
    """What the server has of an instance, without the file meta information that it made itself."""
    answer = server.get(f"/instances/{instance_id(instance)}/file")
    assert answer.status == 200, "an acknowledged instance is not there"
    return data_set(answer.body)


def count(server: DicomServer, what: str = "CountInstances") -> int:
    """A number of `/statistics`."""
    found: int = server.get("/statistics").json()[what]
    return found


def stored_files(server: Ithil) -> list[Path]:
    """The files in the storage folder that have a UUID as their name."""
    return [
        path for path in (server.folder / "storage").rglob("*") if len(path.name) == 36 and path.is_file()
    ]


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; an assertion fails if it does not in time."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.02)
