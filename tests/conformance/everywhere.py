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

_NAMES = [("ﾔﾏﾀﾞ^ﾀﾛｳ=;3ED^B@O:=$d$^$@^$?$m$&", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう")]

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
    Difference("body.Details", "Ithil says in its own words what is wrong with a request."),
    Difference("body.First", "`First` came with Orthanc 1.12.5 to /changes.", theirs=ABSENT),
    Difference(
        "body.*",
        "Names in several character sets (ISO 2022) are decoded; Orthanc 1.10 leaves their code points.",
        when=lambda theirs, ours: (theirs, ours) in _NAMES,
    ),
    Difference(
        "body.*",
        "The backslash between values stays one in Japanese text; Orthanc 1.10 makes it a yen sign.",
        when=lambda theirs, ours: (
            isinstance(theirs, str) and "¥" in theirs and theirs.replace("¥", "\\") == ours
        ),
    ),
    Difference(
        "header.www-authenticate",
        "The realm is Ithil's, and credentials are UTF-8 (RFC 7617).",
        ours='Basic realm="Ithil", charset="UTF-8"',
        theirs='Basic realm="Orthanc Secure Area"',
    ),
    Difference(
        "header.content-type",
        "Every answer with a JSON body says so; Orthanc 1.10 leaves the content type of errors out.",
        ours="application/json; charset=utf-8",
        theirs=ABSENT,
    ),
)
