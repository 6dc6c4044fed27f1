"""Archives to search and searches in them, in few words."""

from __future__ import annotations

import itertools
from typing import Any

from tests.data.datasets import body, part10

from ithil.archive import find
from ithil.archive.archive import Archive
from ithil.archive.matching import parse
from ithil.archive.query import Constraint, Query
from ithil.dicom.dictionary import parse_tag, tag_vr
from ithil.dicom.level import Level

_uids = itertools.count(1)


def instance(**values: str) -> bytes:
    """A file whose tags have these values, in UTF-8; UIDs that are not given are new."""
    number = next(_uids)
    tags = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "SOPInstanceUID": f"1.2.9.{number}",
        "SeriesInstanceUID": f"1.2.8.{number}",
        "StudyInstanceUID": f"1.2.7.{number}",
        **values,
    }
    elements: dict[int, Any] = {}
    for name, value in tags.items():
        raw = value.encode()
        tag = parse_tag(name)
        elements[tag] = (tag_vr(tag), raw + b" " * (len(raw) % 2))
    return part10(body(elements, identifiers=False))


def constraints(query: dict[str, str], *, case_sensitive: bool = False) -> tuple[Constraint, ...]:
    found = []
    for name, text in query.items():
        match = parse(parse_tag(name), text)
        if match is not None:
            found.append(Constraint(parse_tag(name), match, case_sensitive))
    return tuple(found)


def ids(archive: Archive, query: Query) -> list[str]:
    return [one for batch in find.ids(archive, query) for one in batch]


def search(archive: Archive, level: Level, /, *, case_sensitive: bool = False, **query: str) -> list[str]:
    """The public ids that a search by these tags finds; what `count` and `resources` say must be the same."""
    asked = Query(level, constraints(query, case_sensitive=case_sensitive))
    found = ids(archive, asked)
    assert find.count(archive, asked) == len(found)
    assert [one.id for batch in find.resources(archive, asked) for one in batch] == found
    return found
