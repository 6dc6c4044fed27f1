"""Tags that a client asks for beside the main tags: `requested-tags`.

Each is taken from where it is cheapest: counted from the index, the main tags of the resource or of those
above it, and only then the header of one instance below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ithil import error_codes as codes
from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.archive.model import Resource, Statistics
from ithil.dicom.dataset import Dataset
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format, format_dataset, format_values
from ithil.error_codes import CodedError
from ithil.rest.header import read_header

_MODALITY = 0x00080060
_SOP_CLASS = 10  # metadata


@dataclass(frozen=True, slots=True)
class RequestedTags:
    """The tags that a request asks for; false if there are none."""

    tags: tuple[int, ...]
    archive: Archive

    @classmethod
    def parse(cls, names: Iterable[str], archive: Archive) -> RequestedTags:
        """Tags by name or number. Raises CodedError (unknown DICOM tag)."""
        try:
            return cls(tuple(parse_tag(name) for name in names), archive)
        except ValueError as error:
            raise CodedError(codes.UNKNOWN_DICOM_TAG) from error

    def __bool__(self) -> bool:
        return bool(self.tags)

    def of(self, resource: Resource, form: Format) -> dict[str, Any]:
        """The values for one resource; tags that it does not have are left out."""
        texts: dict[int, str] = {}
        missing: list[int] = []
        family = _Family(self.archive, resource)
        for tag in self.tags:
            compute = _COMPUTED.get(tag)
            value = family.main_tag(tag) if compute is None else compute(family)
            if value is not None:
                texts[tag] = value
            elif compute is None:
                missing.append(tag)
        found = format_values(texts, form)
        if missing:
            found.update(self._from_file(resource, missing, form))
        return found

    def _from_file(self, resource: Resource, tags: Sequence[int], form: Format) -> dict[str, Any]:
        if resource.level == Level.INSTANCE:
            instance: Resource | None = resource
        else:
            below = resources.descendants(self.archive, resource.level, resource.id, Level.INSTANCE)
            instance = resources.read(self.archive, Level.INSTANCE, below[0]) if below else None
        if instance is None:
            return {}
        parsed = read_header(self.archive, instance)
        # The character set is kept for decoding and taken out again.
        kept = [element for element in parsed.elements if element.tag in tags or element.tag == 0x00080005]
        chosen = Dataset(kept, parsed.transfer_syntax_uid, parsed.big_endian, parsed.default_encoding)
        found = format_dataset(chosen, form, maximum_length=None)
        if 0x00080005 not in tags:
            for name in format_values({0x00080005: ""}, form):
                found.pop(name, None)
        return found


class _Family:
    """A resource with those above it, read when they are needed."""

    def __init__(self, archive: Archive, resource: Resource) -> None:
        self.archive = archive
        self._members = {resource.level: resource}
        self._lowest = resource

    def member(self, level: Level) -> Resource | None:
        """The resource at `level`, itself or above; None below or if it is gone."""
        if level > self._lowest.level:
            return None
        if level not in self._members:
            found = resources.ancestor(self.archive, self._lowest.level, self._lowest.id, level)
            read = None if found is None else resources.read(self.archive, level, found)
            if read is None:
                return None
            self._members[level] = read
        return self._members[level]

    def main_tag(self, tag: int) -> str | None:
        """The value of a main tag, from the nearest resource that has it."""
        for level in range(self._lowest.level, -1, -1):
            if tag not in self.archive.tags_of.main[Level(level)]:
                continue
            member = self.member(Level(level))
            if member is not None and tag in member.main_tags:
                return member.main_tags[tag]
        return None

    def counts(self, level: Level) -> Statistics | None:
        """The counts below the member at `level`."""
        member = self.member(level)
        return None if member is None else resources.statistics(self.archive, level, member.id)

    def study_children(self, level: Level) -> list[Resource]:
        """The resources at `level` below the study."""
        study = self.member(Level.STUDY)
        if study is None:
            return []
        found = resources.descendants(self.archive, Level.STUDY, study.id, level) or []
        return resources.read_many(self.archive, level, found)


Compute = Callable[[_Family], str | None]


def _count(level: Level, field: str) -> Compute:
    def compute(family: _Family) -> str | None:
        counts = family.counts(level)
        return None if counts is None else str(getattr(counts, field))

    return compute


def _modalities(family: _Family) -> str | None:
    found = {series.main_tags.get(_MODALITY, "") for series in family.study_children(Level.SERIES)}
    return "\\".join(sorted(found - {""})) if found else None


def _sop_classes(family: _Family) -> str | None:
    instances = family.study_children(Level.INSTANCE)
    found = {one.metadata[_SOP_CLASS].value for one in instances if _SOP_CLASS in one.metadata}
    return "\\".join(sorted(found - {""})) if found else None


def _availability(_family: _Family) -> str | None:
    return "ONLINE"


_COMPUTED: dict[int, Compute] = {
    0x00080056: _availability,
    0x00080061: _modalities,
    0x00080062: _sop_classes,
    0x00201200: _count(Level.PATIENT, "studies"),
    0x00201202: _count(Level.PATIENT, "series"),
    0x00201204: _count(Level.PATIENT, "instances"),
    0x00201206: _count(Level.STUDY, "series"),
    0x00201208: _count(Level.STUDY, "instances"),
    0x00201209: _count(Level.SERIES, "instances"),
}
"""Tags that no file holds: they follow from what is stored (PS3.4 C.6.2.1, C.6.1.1)."""
