"""Metadata, attachments, reconstruction and deletion in bulk, each on a fresh pair of servers."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.conformance.line import Ask, Difference, Scenario
from tests.data.real import content_of

_CT = "pydicom/CT_small.dcm"
_ct = partial(content_of, _CT)
_LEVELS = (("patients", "patient"), ("studies", "study"), ("series", "series"), ("instances", "instance"))
_NAMES: dict[str, Any] = {
    "UserMetadata": {"my-metadata": 1024},
    "UserContentType": {"my-file": [1024, "application/pdf"]},
}
_STUDY, _INSTANCE = "/studies/{study:CT_small}", "/instances/{instance:CT_small}"

_REVISIONS = "Revisions grow with each change, as in Orthanc 1.13; in the SQLite index of 1.10 all are 0."
_GROWS = Difference("header.etag", _REVISIONS)
_STALE = (
    Difference("status", _REVISIONS, theirs=200, ours=409),
    Difference("header.*", _REVISIONS),
    Difference("body*", _REVISIONS),
)
_FITS = (
    Difference("status", _REVISIONS, theirs=409, ours=200),
    Difference("header.*", _REVISIONS),
    Difference("body*", _REVISIONS),
)
_WORDING = Difference("body.Details", "The details of an error are worded by each server.")
_NO_TEXT = (
    Difference("status", "Metadata are text: what is no UTF-8, or has NULs, is refused.", ours=400),
    Difference("header.*", "Metadata are text: what is no UTF-8, or has NULs, is refused."),
    Difference("body*", "Metadata are text: what is no UTF-8, or has NULs, is refused."),
)
_OTHER_LEVEL = (
    Difference("status", "A resource is only found at its own level.", theirs=200, ours=404),
    Difference("header.*", "A resource is only found at its own level."),
    Difference("body*", "A resource is only found at its own level."),
)
_UNKNOWN = (
    Difference("status", "Nothing can be attached to what is not there.", theirs=200, ours=404),
    Difference("header.*", "Nothing can be attached to what is not there."),
    Difference("body*", "Nothing can be attached to what is not there."),
)
_NO_JSON = (
    Difference("status", "A body that is no JSON object is refused.", theirs=200, ours=400),
    Difference("header.*", "A body that is no JSON object is refused."),
    Difference("body*", "A body that is no JSON object is refused."),
)
_MD5 = '"0-5d41402abc4b2a76b9719d911017c592"'  # of hello, at the revision 0


def _metadata(plural: str, level: str) -> tuple[Ask, ...]:
    one = f"/{plural}/{{{level}:CT_small}}/metadata"
    return (
        Ask("PUT", f"{one}/my-metadata", "hello"),
        Ask("GET", f"{one}/my-metadata"),
        Ask("GET", f"{one}/1024"),
        Ask("GET", f"{one}/my-metadata", headers={"If-None-Match": _MD5}, note="known"),
        Ask("PUT", f"{one}/2000", "two", headers={"If-Match": '"7-x"'}, note="new, with a version"),
        Ask("PUT", f"{one}/1024", "hello", headers={"If-Match": _MD5}, note="the version"),
        Ask("PUT", f"{one}/01024", "hello", ours=(_GROWS,)),
        Ask("GET", f"{one}?expand"),
        Ask("PUT", f"{one}/65535", ""),
        Ask("GET", f"{one}/65535"),
        Ask("GET", one),
        Ask("DELETE", f"{one}/65535"),
        Ask("DELETE", f"{one}/65535"),
        Ask("GET", f"{one}/65535"),
        *(
            Ask(method, f"{one}/{name}", "x" if method == "PUT" else None)
            for method in ("PUT", "DELETE")
            for name in ("LastUpdate", "1023", "0", "-1", "65536", "nope", "1024x")
        ),
        Ask("DELETE", f"{one}/3000"),
        Ask("PUT", f"/{plural}/nope/metadata/1024", "x"),
        Ask("DELETE", f"/{plural}/nope/metadata/1024"),
        Ask("POST", f"{one}/1024", "x"),
    )


METADATA = Scenario(
    "setting metadata",
    (
        *(line for names in _LEVELS for line in _metadata(*names)),
        Ask("GET", "/changes"),
        Ask("PUT", "/series/{study:CT_small}/metadata/1025", "x", ours=_OTHER_LEVEL),
        Ask("PUT", f"{_STUDY}/metadata/3000", b"a\0b", ours=_NO_TEXT, note="a NUL"),
        Ask("PUT", f"{_STUDY}/metadata/3001", b"\xff\xfe", ours=_NO_TEXT, note="no UTF-8"),
        Ask("PUT", f"{_STUDY}/metadata/3002", "é".encode() * 1000, note="long"),
        Ask("GET", f"{_STUDY}/metadata/3002"),
        Ask("POST", "/instances", _ct, note="stored again"),
        Ask("GET", f"{_STUDY}/metadata/3002"),
    ),
    files=(_CT,),
    configuration={**_NAMES, "OverwriteInstances": False},
)


def _versions(base: str, *, unlocked: bool) -> tuple[Ask, ...]:
    """Changes with and without the version that is there, which is "hello" at the revision 0 at first."""
    wrong = ('"0-x"', '"1-5d41402abc4b2a76b9719d911017c592"')
    bad = ("garbage", "*", "0", f"W/{_MD5}", '"-1-5d41402abc4b2a76b9719d911017c592"', '"x-5d"', "")
    return (
        Ask("PUT", base, "hello"),
        *(Ask("PUT", base, "x", headers={"If-Match": version}, note=version) for version in wrong),
        *(
            Ask(
                method,
                base,
                "x" if method == "PUT" else None,
                headers={"If-Match": version},
                note=version or "empty",
                ours=(_WORDING,),
            )
            for method in ("PUT", "DELETE")
            for version in bad
        ),
        Ask("DELETE", base, headers={"If-Match": wrong[0]}, note="wrong"),
        *(() if unlocked else (Ask("PUT", base, "x"), Ask("DELETE", base, ours=(_WORDING,)))),
        Ask("PUT", base, "hello", headers={"If-Match": _MD5}, note="right"),
        Ask("PUT", base, "hello", headers={"If-Match": _MD5}, note="used up", ours=_STALE),
        Ask("DELETE", base, headers={"If-Match": _MD5}, note="used up", ours=_STALE),
    )


_VERSIONED = (f"{_STUDY}/metadata/1024", f"{_STUDY}/attachments/1024")
REVISIONS = Scenario(
    "versions",
    tuple(line for base in _VERSIONED for line in _versions(base, unlocked=True)),
    files=(_CT,),
)
CHECKED_REVISIONS = Scenario(
    "versions that are asked for",
    (
        *(line for base in _VERSIONED for line in _versions(base, unlocked=False)),
        Ask("DELETE", f"{_STUDY}/metadata/2000", ours=(_WORDING,)),
        Ask("DELETE", f"{_STUDY}/metadata/2000", headers={"If-Match": _MD5}, note="with a version"),
        Ask("DELETE", "/studies/nope/attachments/2000", ours=(_WORDING,)),
    ),
    files=(_CT,),
    configuration={"CheckRevisions": True},
)

_PARTS = ("data", "size", "compressed-size", "md5", "compressed-md5", "is-compressed", "info")


def _attachments(plural: str, level: str) -> tuple[Ask, ...]:
    one = f"/{plural}/{{{level}:CT_small}}/attachments"
    read = tuple(Ask("GET", f"{one}/my-file/{part}") for part in _PARTS)
    return (
        Ask("PUT", f"{one}/my-file", "hello"),
        *read,
        Ask("GET", f"{one}/my-file/data", headers={"If-None-Match": _MD5}, note="known"),
        Ask("POST", f"{one}/my-file/compress"),
        *(Ask("GET", f"{one}/my-file/{part}") for part in ("data", "size", "md5", "is-compressed")),
        Ask("POST", f"{one}/my-file/compress"),
        Ask("POST", f"{one}/my-file/verify-md5"),
        Ask("POST", f"{one}/my-file/uncompress"),
        *read,
        Ask("POST", f"{one}/my-file/uncompress"),
        Ask("PUT", f"{one}/1024", "other"),
        Ask("GET", f"{one}/1024/data", ours=(_GROWS,)),
        Ask("PUT", f"{one}/2000", ""),
        *(Ask("GET", f"{one}/2000/{part}") for part in _PARTS),
        Ask("POST", f"{one}/2000/compress"),
        Ask("GET", f"{one}/2000/data"),
        Ask("POST", f"{one}/2000/verify-md5"),
        Ask("PUT", f"{one}/65535", b"\0\1\2\xff"),
        Ask("GET", f"{one}/65535/data"),
        Ask("GET", one),
        Ask("GET", f"{one}?full"),
        Ask("GET", f"/{plural}/{{{level}:CT_small}}/statistics"),
        Ask("DELETE", f"{one}/2000"),
        Ask("DELETE", f"{one}/2000"),
        Ask("GET", f"{one}/2000/size"),
        *(
            Ask(method, f"{one}/{name}", "x" if method == "PUT" else None)
            for method in ("PUT", "DELETE")
            for name in ("dicom", "dicom-until-pixel-data", "1023", "0", "-1", "65536", "nope")
        ),
        Ask("DELETE", f"{one}/dicom-as-json"),
        Ask("PUT", f"{one}/dicom-as-json", "x"),
        *(
            Ask("POST", f"{one}/{name}/{action}")
            for action in ("compress", "uncompress", "verify-md5")
            for name in ("3000", "nope")
        ),
        Ask("PUT", f"/{plural}/nope/attachments/1024", "x", ours=_UNKNOWN),
        Ask("DELETE", f"/{plural}/nope/attachments/1024"),
        Ask("POST", f"/{plural}/nope/attachments/1024/compress"),
        Ask("POST", f"{one}/1024", "x"),
    )


_COUNTED = tuple(
    Ask("GET", path)
    for path in (
        "/statistics",
        "/patients/{patient:CT_small}/statistics",
        f"{_STUDY}/statistics",
        "/series/{series:CT_small}/statistics",
        f"{_INSTANCE}/statistics",
    )
)
ATTACHMENTS = Scenario(
    "attachments",
    (
        *(line for names in _LEVELS for line in _attachments(*names)),
        *_COUNTED,
        Ask("GET", "/changes"),
        Ask("DELETE", "/series/{series:CT_small}"),
        Ask("GET", "/statistics"),
    ),
    files=(_CT,),
    configuration=_NAMES,
)

COMPRESSION = Scenario(
    "compressing instances",
    (
        Ask("POST", f"{_INSTANCE}/attachments/dicom/compress"),
        Ask("GET", f"{_INSTANCE}/attachments/dicom/is-compressed"),
        Ask("GET", f"{_INSTANCE}/file"),
        Ask("GET", f"{_INSTANCE}/tags"),
        Ask("GET", f"{_INSTANCE}/attachments/dicom/md5"),
        Ask("POST", f"{_INSTANCE}/attachments/dicom/verify-md5"),
        Ask("POST", f"{_INSTANCE}/attachments/dicom/uncompress"),
        Ask("GET", f"{_INSTANCE}/attachments/dicom/info"),
        *_COUNTED,
        Ask("GET", "/changes"),
    ),
    files=(_CT,),
)

_STATE = tuple(Ask("GET", f"/{plural}?expand", unordered=True) for plural, _ in _LEVELS)
RECONSTRUCTING = Scenario(
    "reconstruction",
    (
        Ask("PUT", f"{_STUDY}/metadata/1024", "kept"),
        *(Ask("POST", f"/{plural}/{{{level}:CT_small}}/reconstruct") for plural, level in _LEVELS),
        Ask("POST", f"{_STUDY}/reconstruct", "{}"),
        Ask("POST", f"{_STUDY}/reconstruct", '{"ReconstructFiles": true}'),
        Ask("POST", f"{_STUDY}/reconstruct", '{"LimitToThisLevelMainDicomTags": true}'),
        Ask("POST", f"{_STUDY}/reconstruct", "garbage", ours=_NO_JSON),
        Ask("POST", f"{_STUDY}/reconstruct", "[]", ours=_NO_JSON),
        *(Ask("POST", f"/{plural}/nope/reconstruct") for plural, _ in _LEVELS),
        Ask("GET", f"{_STUDY}/reconstruct"),
        Ask("POST", "/tools/reconstruct"),
        Ask("POST", "/tools/invalidate-tags"),
        Ask("GET", "/tools/invalidate-tags"),
        *_STATE,
        *_COUNTED,
        Ask("GET", f"{_INSTANCE}/metadata?expand"),
        Ask("GET", "/series/{series:CT_small}/metadata?expand"),
        Ask("GET", f"{_STUDY}/metadata?expand"),
        Ask("GET", "/changes"),
    ),
    files=(_CT,),
)

_SERIES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))
BULK_DELETION = Scenario(
    "deletion in bulk",
    (
        *(
            Ask("POST", "/tools/bulk-delete", body, ours=(_WORDING,))
            if body in ("", "garbage")
            else Ask("POST", "/tools/bulk-delete", body)
            for body in (
                '{"Resources": []}',
                '{"Resources": ["nope"]}',
                "{}",
                "",
                "garbage",
                "[]",
                '{"Resources": "x"}',
                '{"Resources": [1]}',
            )
        ),
        Ask("GET", "/tools/bulk-delete"),
        *_STATE,
        Ask("POST", "/tools/bulk-delete", '{"Resources": ["f689ddd2-662f8fe1-8b18180d-ec2a2cee-937917af"]}'),
        *_STATE,
    ),
    files=(_CT, *_SERIES[:2]),
)

ANNOTATING = (
    METADATA,
    REVISIONS,
    CHECKED_REVISIONS,
    ATTACHMENTS,
    COMPRESSION,
    RECONSTRUCTING,
    BULK_DELETION,
)
