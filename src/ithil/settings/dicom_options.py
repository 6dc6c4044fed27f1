"""Options of the DICOM services: the listener, what it accepts and from whom, and the modalities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, ignored, integer, path, paths, text, texts
from ithil.settings.remotes import Modality, check_aet, modalities

_LIMIT_IS_OURS = ignored("the limit is Ithil.MaximumAssociations")


@dataclass(frozen=True)
class DicomOptions:
    """The DICOM services"""

    dicom_server_enabled: bool = boolean("DicomServerEnabled", True, "Listen for DICOM associations")
    dicom_aet: str = text("DicomAet", "ORTHANC", "Own application entity title", check=check_aet)
    dicom_check_called_aet: bool = boolean(
        "DicomCheckCalledAet", False, "Refuse associations that call another title"
    )
    dicom_port: int = integer("DicomPort", 4242, "Port of the DICOM listener", 0, 65535)
    dicom_threads_count: int = integer(
        "DicomThreadsCount", 4, "Associations served at the same time", 1, status=_LIMIT_IS_OURS
    )
    dicom_scp_timeout: int = integer(
        "DicomScpTimeout", 30, "Idle time until an incoming association ends; 0 for never", unit="s"
    )
    dicom_scu_timeout: int = integer(
        "DicomScuTimeout",
        10,
        "Time to wait for another application entity; 0 for ever",
        unit="s",
    )
    dicom_association_close_delay: int = integer(
        "DicomAssociationCloseDelay",
        5,
        "Time that an outgoing association is kept for reuse",
        unit="s",
    )
    maximum_pdu_length: int = integer(
        "MaximumPduLength", 16384, "Longest PDU to receive", 4096, 131072, unit="bytes"
    )
    strict_aet_comparison: bool = boolean(
        "StrictAetComparison", False, "Tell upper from lower case in application entity titles"
    )
    accepted_transfer_syntaxes: list[str] = texts(
        "AcceptedTransferSyntaxes",
        ["1.2.840.10008.1.*"],
        "Transfer syntaxes of C-STORE; * and ? are wildcards",
        single=True,
    )
    deflated_transfer_syntax_accepted: bool | None = boolean(
        "DeflatedTransferSyntaxAccepted", None, "Add or remove the deflated transfer syntax"
    )
    jpeg_transfer_syntax_accepted: bool | None = boolean(
        "JpegTransferSyntaxAccepted", None, "Add or remove the transfer syntaxes of JPEG"
    )
    jpeg2000_transfer_syntax_accepted: bool | None = boolean(
        "Jpeg2000TransferSyntaxAccepted", None, "Add or remove those of JPEG 2000"
    )
    jpeg_lossless_transfer_syntax_accepted: bool | None = boolean(
        "JpegLosslessTransferSyntaxAccepted", None, "Add or remove those of JPEG-LS"
    )
    jpip_transfer_syntax_accepted: bool | None = boolean(
        "JpipTransferSyntaxAccepted", None, "Add or remove those of JPIP"
    )
    mpeg2_transfer_syntax_accepted: bool | None = boolean(
        "Mpeg2TransferSyntaxAccepted", None, "Add or remove those of MPEG-2"
    )
    rle_transfer_syntax_accepted: bool | None = boolean(
        "RleTransferSyntaxAccepted", None, "Add or remove RLE"
    )
    mpeg4_transfer_syntax_accepted: bool | None = boolean(
        "Mpeg4TransferSyntaxAccepted", None, "Add or remove those of MPEG-4"
    )
    h265_transfer_syntax_accepted: bool | None = boolean(
        "H265TransferSyntaxAccepted", None, "Add or remove those of HEVC"
    )
    unknown_sop_class_accepted: bool = boolean(
        "UnknownSopClassAccepted", False, "Store SOP classes that no standard names"
    )
    accepted_sop_classes: list[str] | None = texts(
        "AcceptedSopClasses",
        None,
        "SOP classes to store; * and ? are wildcards. All storage classes if absent",
        single=True,
    )
    rejected_sop_classes: list[str] | None = texts(
        "RejectedSopClasses",
        None,
        "SOP classes not to store; * and ? are wildcards",
        single=True,
        aliases=("RejectSopClasses",),
    )
    dicom_always_allow_echo: bool = boolean("DicomAlwaysAllowEcho", True, "C-ECHO from strangers")
    dicom_always_allow_store: bool = boolean("DicomAlwaysAllowStore", True, "C-STORE from strangers")
    dicom_always_allow_find: bool = boolean("DicomAlwaysAllowFind", False, "C-FIND from strangers")
    dicom_always_allow_find_worklist: bool = boolean(
        "DicomAlwaysAllowFindWorklist",
        False,
        "Worklist queries from strangers",
    )
    dicom_always_allow_get: bool = boolean("DicomAlwaysAllowGet", False, "C-GET from strangers")
    dicom_always_allow_move: bool = boolean("DicomAlwaysAllowMove", False, "C-MOVE from strangers")
    dicom_check_modality_host: bool = boolean(
        "DicomCheckModalityHost", False, "Known modalities must call from their configured address"
    )
    dicom_modalities: dict[str, Modality] = modalities(
        "DicomModalities", "Known application entities, by symbolic name"
    )
    dicom_modalities_in_database: bool = boolean(
        "DicomModalitiesInDatabase",
        False,
        "Keep the modalities in the database, and do not look at DicomModalities",
    )
    dicom_echo_checks_find: bool = boolean("DicomEchoChecksFind", False, "Follow each C-ECHO by a C-FIND")
    dicom_default_retrieve_method: str = choice(
        "DicomDefaultRetrieveMethod",
        "C-MOVE",
        ("C-MOVE", "C-GET"),
        "How the results of a query are retrieved",
    )
    dicom_scu_preferred_transfer_syntax: str = text(
        "DicomScuPreferredTransferSyntax",
        "1.2.840.10008.1.2.1",
        "What to transcode to when the other side refuses",
    )
    synchronous_c_move: bool = boolean("SynchronousCMove", True, "Answer C-MOVE only when all is sent")
    limit_find_results: int = integer(
        "LimitFindResults",
        0,
        "Most patients, studies or series that a search answers; 0 for all",
    )
    limit_find_instances: int = integer(
        "LimitFindInstances", 0, "Most instances that a search answers; 0 for all"
    )
    query_retrieve_size: int = integer("QueryRetrieveSize", 100, "Queries kept under /queries")
    case_sensitive_pn: bool = boolean(
        "CaseSensitivePN", False, "Tell upper from lower case in searches for names"
    )
    storage_access_on_find: str = choice(
        "StorageAccessOnFind",
        "Always",
        ("Always", "Never", "Answers"),
        "When searches may open stored files for tags that the index does not have: Always, never "
        "or only to show them in Answers",
    )
    storage_commitment_reports_size: int = integer(
        "StorageCommitmentReportsSize", 100, "Storage commitment reports kept"
    )
    dicom_tls_enabled: bool = boolean("DicomTlsEnabled", False, "TLS on the DICOM listener")
    dicom_tls_certificate: Path | None = path("DicomTlsCertificate", None, "Own certificate, PEM")
    dicom_tls_private_key: Path | None = path("DicomTlsPrivateKey", None, "Its private key, PEM")
    dicom_tls_trusted_certificates: Path | None = path(
        "DicomTlsTrustedCertificates", None, "Trusted authorities, PEM"
    )
    dicom_tls_remote_certificate_required: bool = boolean(
        "DicomTlsRemoteCertificateRequired", True, "Demand a certificate of callers"
    )
    dicom_tls_minimum_protocol_version: int = integer(
        "DicomTlsMinimumProtocolVersion",
        0,
        "0: BCP 195, 2: TLS 1.0, 3: TLS 1.1, 4: TLS 1.2, 5: TLS 1.3",
        0,
        5,
    )
    dicom_tls_ciphers_accepted: list[str] | None = texts(
        "DicomTlsCiphersAccepted", None, "Ciphers, in OpenSSL's names"
    )
    deidentify_logs: bool = boolean(
        "DeidentifyLogs", True, "Keep patient data out of the logs", why.NO_LOG_CHOICE, harmless=(True,)
    )
    deidentify_logs_dicom_version: str = choice(
        "DeidentifyLogsDicomVersion",
        "2023b",
        ("2008", "2017c", "2021b", "2023b"),
        "The de-identification profile of the logs",
        why.NO_LOG_CHOICE,
        harmless=("2008", "2017c", "2021b", "2023b"),
    )
    external_dictionaries: list[Path] | None = paths(
        "ExternalDictionaries", None, "Dictionaries in DCMTK's form", why.NO_DCMTK, harmless=([],)
    )
    locale: str | None = text("Locale", None, "Locale of case folding", ignored("Unicode's rules are used"))
