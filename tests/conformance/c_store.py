"""C-STORE of every real file to both servers: contexts, statuses and resulting public ids compared.

The data sets go out byte for byte as they lie in the files (pynetdicom's chunked sending), in the transfer
syntax that the file's meta information names.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association

from tests.conformance.compare import undeclared
from tests.conformance.line import Difference, Found
from tests.conformance.pair import running_pair
from tests.data.real import all_files
from tests.servers.process import DicomServer

ANSWER_DEADLINE = 4.0  # seconds; Orthanc gives no answer at all to some broken data sets
NO_RESPONSE = "no response"

_REFUSED = {"C000", "A700", NO_RESPONSE}
ON_PURPOSE: tuple[Difference, ...] = (
    Difference(
        "*",
        "A refused instance gets the status that fits (PS3.4 B.2.3: A900H, C000H); Orthanc takes others, "
        "or does not answer.",
        when=lambda theirs, ours: isinstance(theirs, str) and theirs in _REFUSED and ours in ("A900", "C000"),
    ),
    Difference(
        "palette/*", "Color palettes have no study; the context is accepted, the instance refused.", "A900"
    ),
    Difference("*/explicit_VR-UN.dcm", "Identifiers of VR UN are read as their dictionary VR.", "0000"),
    Difference("*/rtdose_rle*.dcm", "Identifiers of VR UN are read as their dictionary VR.", "0000"),
    Difference(
        "*/SC_rgb_jpeg.dcm", "Implicit VR in an explicit transfer syntax is read all the same.", "0000"
    ),
    Difference("*/image_dfl.dcm", "Deflated data sets are accepted.", "0000"),
    *(
        Difference(level, "These are the resources of the files that only Ithil accepts.", theirs=[])
        for level in ("patients", "studies", "series", "instances")
    ),
    Difference(
        "*/metadata/TransferSyntax",
        "Of two files of the same instance Orthanc refuses the first.",
        ours="1.2.840.10008.1.2.4.50",
        theirs="1.2.840.10008.1.2",
    ),
)


@dataclass(frozen=True, slots=True)
class Sendable:
    """A file with what its association must propose."""

    name: str
    path: Path
    sop_class: str
    transfer_syntax: str


def sendable_files() -> list[Sendable]:
    """All real files whose meta information (PS3.10 7.1) says what they are."""
    return [each for each in _sendable() if each.sop_class and each.transfer_syntax]


def _sendable() -> Iterator[Sendable]:
    for name, path in all_files().items():
        try:
            meta = read_file_meta_info(path)
            yield Sendable(
                name,
                path,
                str(meta.MediaStorageSOPClassUID),
                str(meta.TransferSyntaxUID),
            )
        except Exception:  # whatever pydicom says about a file that is none, it cannot be sent
            continue


def send_all(server: DicomServer, files: list[Sendable]) -> dict[str, str]:
    """Send each file; the answer says per name what became of it.

    Four hex digits are the status of the C-STORE response, `no context` is a presentation context that was
    refused (PS3.8 9.3.3.2), `no response` an association that ended.
    """
    association: Association | None = None
    outcomes = {}
    for each in files:
        if association is None or not association.is_established:
            association = _associate(server, files)
        outcomes[each.name] = _send(association, each)
        if outcomes[each.name] == NO_RESPONSE:
            # pynetdicom's own reactor thread now and then takes a fast answer away from who waits for it:
            # only a second silence is the server's.
            association = _associate(server, files)
            outcomes[each.name] = _send(association, each)
    if association is not None:
        association.release()
    return outcomes


@contextmanager
def _sending_files_as_they_lie() -> Iterator[None]:
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        yield
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before


def _associate(server: DicomServer, files: list[Sendable]) -> Association:
    """One association that proposes each pair of SOP class and transfer syntax as a context of its own."""
    pairs = dict.fromkeys((each.sop_class, each.transfer_syntax) for each in files)
    assert len(pairs) <= 128, "more presentation contexts than an association can have"
    entity = AE("CONFORMANCE")
    entity.acse_timeout = 30
    entity.dimse_timeout = entity.network_timeout = ANSWER_DEADLINE
    entity.requested_contexts = [build_context(*pair) for pair in pairs]
    association: Association = entity.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    assert association.is_established or association.rejected_contexts, (
        f"{server.name} refuses the association"
    )
    return association


def _send(association: Association, file: Sendable) -> str:
    accepted = {(each.abstract_syntax, each.transfer_syntax[0]) for each in association.accepted_contexts}
    if (file.sop_class, file.transfer_syntax) not in accepted:
        return "no context"
    try:
        status = association.send_c_store(file.path)
    except (ValueError, AttributeError, KeyError) as error:
        return f"not sent: {type(error).__name__}"  # pynetdicom cannot read the file
    return f"{status.Status:04X}" if "Status" in status else NO_RESPONSE


def c_store_differences(folder: Path, subject: str = "ithil") -> list[Found]:
    """Send all files to a fresh pair and list what differs, but for `ON_PURPOSE`."""
    files = sendable_files()
    with (
        running_pair(folder, subject=subject) as pair,
        _sending_files_as_they_lie(),
        ThreadPoolExecutor(2) as side_by_side,
    ):
        theirs, ours = side_by_side.map(send_all, (pair.peer, pair.subject), (files, files))
        found = [Found(name, theirs[name], ours[name]) for name in theirs if theirs[name] != ours[name]]
        for level in ("patients", "studies", "series", "instances"):
            ids = [set(server.get(f"/{level}").json()) for server in (pair.peer, pair.subject)]
            if ids[0] != ids[1]:
                found.append(Found(level, sorted(ids[0] - ids[1]), sorted(ids[1] - ids[0])))
        for instance in sorted(
            set(pair.peer.get("/instances").json()) & set(pair.subject.get("/instances").json())
        ):
            place = f"/instances/{instance}"
            metadata = [server.get(f"{place}/metadata?expand").json() for server in (pair.peer, pair.subject)]
            for name in ("RemoteAET", "CalledAET", "Origin", "TransferSyntax", "SopClassUid", "RemoteIP"):
                one, other = (each.get(name) for each in metadata)
                if one != other:
                    found.append(Found(f"{place}/metadata/{name}", one, other))
    return found if pair.is_control else undeclared(found, ON_PURPOSE)
