"""The one exception that hostile or broken DICOM bytes turn into.

Every parser under `ithil.dicom` is total: whatever the bytes, it returns a value or raises `DicomError`.
Each skin maps it to its own refusal (a DIMSE status, HTTP 400, a log line).
"""

from __future__ import annotations


class DicomError(ValueError):
    """The bytes are not acceptable DICOM.

    The message says what is wrong and at which offset or tag, and never quotes a value of the data set,
    since it goes to logs and error bodies.
    """
