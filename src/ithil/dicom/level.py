"""The four levels of the DICOM information model (PS3.4 C.6), as every layer names them.

The integers are stored in the index and shown by Orthanc's SDK as resource types, so they never change.
"""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Patient, study, series or instance; a smaller number is nearer to the root."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3

    @property
    def singular(self) -> str:
        """`Patient`, `Study`, `Series` or `Instance`, as the field `Type` of a resource says it."""
        return _SINGULAR[self]

    @property
    def plural(self) -> str:
        """`patients`, `studies`, `series` or `instances`, as in the first part of a resource's path."""
        return _PLURAL[self]

    @property
    def parent(self) -> Level | None:
        """The level above, or None for a patient."""
        return Level(self - 1) if self else None

    @property
    def child(self) -> Level | None:
        """The level below, or None for an instance."""
        return Level(self + 1) if self < Level.INSTANCE else None


_SINGULAR = ("Patient", "Study", "Series", "Instance")
_PLURAL = ("patients", "studies", "series", "instances")
