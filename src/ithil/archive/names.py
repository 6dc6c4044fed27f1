"""Names and numbers of metadata and attachments: the system's own and those that the configuration adds.

Numbers from 1024 to 65535 belong to the user (`UserMetadata`, `UserContentType`); an unnamed one is shown as
its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.error_codes import CodedError

METADATA = {
    1: "IndexInSeries",
    2: "ReceptionDate",
    3: "RemoteAET",
    4: "ExpectedNumberOfInstances",
    5: "ModifiedFrom",
    6: "AnonymizedFrom",
    7: "LastUpdate",
    8: "Origin",
    9: "TransferSyntax",
    10: "SopClassUid",
    11: "RemoteIP",
    12: "CalledAET",
    13: "HttpUsername",
    14: "PixelDataOffset",
    15: "MainDicomTagsSignature",
    16: "MainDicomSequences",
    17: "PixelDataVR",
    18: "IsProtected",
    19: "PatientRecyclingOrder",
}
"""System metadata by number."""

ATTACHMENTS = {1: "dicom", 2: "dicom-as-json", 3: "dicom-until-pixel-data"}
"""System attachments by number."""

DICOM = 1

_LARGEST = 65535


@dataclass(frozen=True, slots=True)
class _Aliases:
    """Names of one kind of thing, in both directions."""

    by_number: dict[int, str]
    by_name: dict[str, int]
    option: str

    @classmethod
    def of(cls, system: Mapping[int, str], configured: Mapping[str, int], option: str) -> _Aliases:
        by_number = {**system, **{number: name for name, number in configured.items()}}
        return cls(by_number, {name: number for number, name in by_number.items()}, option)

    def name(self, number: int) -> str:
        return self.by_number.get(number) or str(number)

    def number(self, name: str) -> int:
        """Raises CodedError (inexistent item) for what is neither a known name nor a number."""
        number = self.by_name.get(name)
        if number is not None:
            return number
        if name.isascii() and name.isdigit() and len(name) <= 5 and int(name) <= _LARGEST:
            return int(name)
        raise CodedError(
            codes.INEXISTENT_ITEM,
            f"The name is none of the system's, not in {self.option} and no number up to {_LARGEST}",
        )


class Names:
    """The names that `UserMetadata` and `UserContentType` configure, and MIME types by attachment number."""

    def __init__(
        self,
        user_metadata: Mapping[str, int],
        user_attachments: Mapping[str, int],
        mime_types: Mapping[int, str] | None = None,
    ) -> None:
        self.metadata = _Aliases.of(METADATA, user_metadata, "UserMetadata")
        self.attachments = _Aliases.of(ATTACHMENTS, user_attachments, "UserContentType")
        self.mime_types = {DICOM: "application/dicom", **(mime_types or {})}
