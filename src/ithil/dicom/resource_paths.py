"""Paths of the resources of DICOMweb below its root (PS3.18 10.1), one rule for every address that is written.

UIDs are digits and dots, but what is stored has the UIDs that a device has sent. So each is quoted: a slash, a
line break or a letter of another alphabet must not lead elsewhere, end a header, or make an answer fail.
"""

from __future__ import annotations

from urllib.parse import quote


def segment(uid: str) -> str:
    """A UID, or another text of a file, as one segment of a path and as a word in a header."""
    return uid if uid.isascii() and uid.replace(".", "").isalnum() else quote(uid, safe="")


def study_path(study: str) -> str:
    """The path of a study."""
    return f"/studies/{segment(study)}"


def series_path(study: str, series: str) -> str:
    """The path of a series."""
    return f"/studies/{segment(study)}/series/{segment(series)}"


def instance_path(study: str, series: str, instance: str) -> str:
    """The path of an instance."""
    return f"/studies/{segment(study)}/series/{segment(series)}/instances/{segment(instance)}"
