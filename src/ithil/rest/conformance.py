"""`/tools/dicom-conformance`: what this server does by DICOM, made from what it really accepts (PS3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ithil import __version__
from ithil.dicom import uids
from ithil.dicom.charsets import ORTHANC_ENCODINGS
from ithil.http import answers
from ithil.http.answers import TEXT, Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.rest.runtime import acceptance
from ithil.services.providers import PROVIDERS, VERIFICATION
from ithil.settings import Settings
from ithil.settings.acceptance import Acceptance


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/tools/dicom-conformance",
            get_conformance,
            "The DICOM conformance statement of this server as it is configured",
            answers=TEXT,
        )
    ]


def get_conformance(request: Request) -> Answer:
    """`GET /tools/dicom-conformance`."""
    return answers.text("\n".join(_statement(request.context.settings, acceptance(request))))


def _statement(settings: Settings, accepted: Acceptance) -> Iterator[str]:
    title = "DICOM Conformance Statement of Ithil"
    yield from ("=" * len(title), title, "=" * len(title), "")
    yield f"Version {__version__}, application entity {settings.dicom_aet}, port {settings.dicom_port}."
    if not settings.dicom_server_enabled:
        yield "The DICOM server is switched off (DicomServerEnabled)."
    yield from _heading("Implementation")
    yield f"  Implementation class UID     {uids.IMPLEMENTATION_CLASS_UID}"
    yield f"  Implementation version name  {uids.IMPLEMENTATION_VERSION_NAME}"
    yield f"  Maximum PDU length           {settings.maximum_pdu_length} bytes"
    yield f"  Associations at a time       {settings.ithil.maximum_associations} a process, "
    yield f"                               {settings.ithil.maximum_associations_per_host} from one address"
    yield f"  Time to wait for a peer      {settings.dicom_scp_timeout or 'unlimited'} seconds"
    yield "  Asynchronous operations      none, one operation at a time"
    yield "  Extended negotiation         relational queries, combined date and time matching"
    yield from _heading("Verification, as SCP and SCU")
    yield from _table([(uids.uid_name(VERIFICATION), VERIFICATION)])
    yield "  As an SCU it is used by the REST API (/modalities/{id}/echo, /tools/dicom-echo)."
    yield from _heading("Storage, as SCP")
    yield "Level 2 (full): all elements are kept, private ones too, and nothing is coerced or discarded. A"
    yield "success status is sent when the instance is on disk and in the index."
    if accepted.unknown_sop_classes():
        yield "SOP classes that this server does not know are accepted as well."
    yield ""
    yield from _table((uids.uid_name(uid), uid) for uid in accepted.sop_classes())
    yield ""
    yield "Statuses: 0000H success, A700H out of resources, A900H data set does not match SOP class,"
    yield "C000H cannot understand, 0110H processing failure, 0122H SOP class not supported,"
    yield "0124H not authorized."
    yield from _heading("Transfer syntaxes of storage")
    yield from _table((_syntax_name(uid), uid) for uid in sorted(accepted.transfer_syntaxes()))
    yield ""
    yield "Of those that are proposed in a presentation context, Explicit VR Little Endian is preferred, then"
    yield "the first one. Verification takes the uncompressed ones."
    yield from _heading("Storage, as SCU")
    yield "Used by C-MOVE, by the REST API (/modalities/{id}/store) and by routing rules. The SOP classes and"
    yield "transfer syntaxes of what is to be sent are proposed, and uncompressed ones beside them; what the"
    yield "other side does not take is transcoded if that is allowed."
    yield from _heading("Other services, as SCP")
    services = [uid for provider in PROVIDERS for uid in provider.sop_classes if provider.enabled(settings)]
    yield from _table((uids.uid_name(uid), uid) for uid in services if uid != VERIFICATION)
    yield from _heading("Other services, as SCU")
    yield "Query and retrieve (C-FIND, C-MOVE, C-GET), worklist queries and storage commitment, asked for by the"
    yield "REST API."
    yield from _heading("Character sets")
    yield "All of PS3.3 C.12.1.1.2, code extensions (ISO 2022) included. Data sets that do not name theirs are"
    yield f"read as {settings.default_encoding}; the option DefaultEncoding takes"
    yield f"{', '.join(sorted(ORTHANC_ENCODINGS))}."
    yield from _heading("Security")
    yield "Callers are told apart by title and address, as the configuration has it."
    tls = "is required" if settings.dicom_tls_enabled else "is switched off (DicomTlsEnabled)"
    yield f"TLS on the DICOM port {tls}."
    yield ""


def _heading(text: str) -> Iterator[str]:
    yield from ("", "", "-" * len(text), text, "-" * len(text), "")


def _syntax_name(uid: str) -> str:
    return uids.transfer_syntax(uid).name


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    found = list(rows)
    width = max((len(name) for name, _ in found), default=0)
    for name, uid in found:
        yield f"  {name:<{width}} | {uid}"
