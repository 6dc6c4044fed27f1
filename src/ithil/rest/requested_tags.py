"""Tags that a client asks for beside the main tags: `requested-tags`.

Each is taken from where it is cheapest: the index, for a whole list of resources at once, and only then the
header of one instance below the resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ithil import error_codes as codes
from ithil.archive import resources as archived
from ithil.archive import tag_values
from ithil.archive.archive import Archive
from ithil.archive.errors import FileMissing
from ithil.archive.model import Resource
from ithil.dicom.dataset import Dataset
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level
from ithil.dicom.tags_format import Format, format_dataset, format_values
from ithil.error_codes import CodedError
from ithil.rest.header import read_header

MOST_TAGS = 1000
_CHARACTER_SET = 0x00080005


@dataclass(frozen=True, slots=True)
class RequestedTags:
    """The tags that a request asks for; false if there are none.

    Without `open_files` those that the index does not have are left out.
    """

    tags: tuple[int, ...]
    archive: Archive
    open_files: bool = True

    @classmethod
    def parse(cls, names: Iterable[str], archive: Archive, *, open_files: bool = True) -> RequestedTags:
        """Tags by name or number.

        Raises CodedError (unknown DICOM tag), (parameter out of range) for too many.
        """
        tags = tuple(dict.fromkeys(known_tag(name) for name in names))
        if len(tags) > MOST_TAGS:
            raise CodedError(codes.PARAMETER_OUT_OF_RANGE, f"At most {MOST_TAGS} tags can be requested")
        return cls(tags, archive, open_files)

    def __bool__(self) -> bool:
        return bool(self.tags)

    def of(self, level: Level, resources: Sequence[Resource], form: Format) -> list[dict[str, Any]]:
        """The values for each of the resources, all of one level; tags that one does not have are left out."""
        in_index = tag_values.from_index(self.archive, level, resources, self.tags)
        shown = []
        for resource, texts in zip(resources, in_index, strict=True):
            found = format_values(texts, form)
            missing = [
                tag
                for tag in self.tags
                if tag not in texts and tag_values.may_be_in_file(self.archive, level, tag)
            ]
            if missing and self.open_files:
                found.update(self._from_file(resource, missing, form))
            shown.append(found)
        return shown

    def _from_file(self, resource: Resource, tags: Sequence[int], form: Format) -> dict[str, Any]:
        instance = archived.first_instance(self.archive, resource)
        if instance is None:
            return {}
        try:
            parsed = read_header(self.archive, instance)
        except FileMissing:
            return {}  # deleted in this moment, or lost; the rest of a list is shown all the same
        # The character set is kept for decoding and taken out again.
        kept = [
            element for element in parsed.elements if element.tag in tags or element.tag == _CHARACTER_SET
        ]
        chosen = Dataset(kept, parsed.transfer_syntax_uid, parsed.big_endian, parsed.default_encoding)
        found = format_dataset(chosen, form, maximum_length=None)
        if _CHARACTER_SET not in tags:
            for name in format_values({_CHARACTER_SET: ""}, form):
                found.pop(name, None)
        return found


def known_tag(name: str) -> int:
    """The tag of that name or number. Raises CodedError (unknown DICOM tag)."""
    try:
        return parse_tag(name)
    except ValueError as error:
        raise codes.unknown_tag(name) from error
