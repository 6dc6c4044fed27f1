"""Differences that any answer may have: what Orthanc 1.13, whose API Ithil speaks, added after 1.10.

The peer that Debian ships is 1.10.1. Each entry is one field or header; nothing else of an answer is excused.
"""

from __future__ import annotations

from tests.conformance.line import ABSENT, Difference

_MAIN_TAGS_ADDED = (
    "TimezoneOffsetFromUTC",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "RequestAttributesSequence",
)
_MAIN_TAGS_ADDED_SHORT = ("0008,0201", "0040,0244", "0040,0245", "0040,0275")

EVERYWHERE: tuple[Difference, ...] = (
    Difference("body.Labels", "Labels came with Orthanc 1.12.0.", ours=[], theirs=ABSENT),
    Difference("body.*.Labels", "Labels came with Orthanc 1.12.0.", ours=[], theirs=ABSENT),
    *(
        Difference(
            f"body{below}.MainDicomTags.{name}",
            "Orthanc 1.11 and 1.12 made these tags main tags of studies and series.",
            theirs=ABSENT,
        )
        for name in _MAIN_TAGS_ADDED + _MAIN_TAGS_ADDED_SHORT
        for below in ("", ".*")
    ),
    Difference(
        "header.content-type",
        "Every answer with a JSON body says so; Orthanc 1.10 leaves the content type of errors out.",
        ours="application/json; charset=utf-8",
        theirs=ABSENT,
    ),
)
