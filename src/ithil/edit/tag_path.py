"""Paths to elements: a tag, or a way through sequences to one, as dcmodify and Orthanc's clients write them.

`PatientName`, `0010,0010`, `0010-0010`, `00100010` and `(0010,0010)` name an element of the data set itself.
`ReferencedSeriesSequence[0].SeriesInstanceUID` names one in the first item of a sequence, `[*]` in every item.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.dicom.dictionary import format_tag, parse_tag
from ithil.error_codes import CodedError

LONGEST = 1024  # characters of a path
DEEPEST = 32  # sequences on the way; deeper data sets exist, but nobody writes such paths

EVERY = -1
"""The number of an item that stands for all of them."""

_NUMBER = re.compile(r"[0-9]{1,9}\Z")


@dataclass(frozen=True, slots=True)
class TagPath:
    """The sequences on the way, each with the number of an item or `EVERY`, and the tag at the end."""

    tag: int
    parents: tuple[tuple[int, int], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether this names an element of the data set itself."""
        return not self.parents

    def covers(self, parents: tuple[tuple[int, int], ...], tag: int) -> bool:
        """Whether this path names the element `tag` in the items that `parents` lead to."""
        return (
            self.tag == tag
            and len(self.parents) == len(parents)
            and all(
                mine[0] == other[0] and mine[1] in (EVERY, other[1])
                for mine, other in zip(self.parents, parents, strict=True)
            )
        )

    def __str__(self) -> str:
        steps = [f"{format_tag(tag)}[{'*' if item == EVERY else item}]." for tag, item in self.parents]
        return "".join(steps) + format_tag(self.tag)


def parse_path(text: str) -> TagPath:
    """The path that `text` spells.

    Raises CodedError: unknown DICOM tag for a name that no dictionary has, parameter out of range for a
    sequence without an item number, a path that ends in an item, or one that is too long or too deep.
    """
    if len(text) > LONGEST:
        raise _out_of_range("A path to a DICOM tag is too long")
    *parents, last = text.split(".")
    if len(parents) > DEEPEST:
        raise _out_of_range("A path to a DICOM tag passes too many sequences")
    if last.rstrip().endswith("]"):
        raise _out_of_range("A path to a DICOM tag must end in a tag, not in an item of a sequence")
    return TagPath(_tag(last), tuple(_parent(step) for step in parents))


def _parent(text: str) -> tuple[int, int]:
    name, bracket, number = text.strip().partition("[")
    if not bracket or not number.endswith("]"):
        raise _out_of_range("A sequence in a path to a DICOM tag needs the number of an item: [0] or [*]")
    number = number[:-1].strip()
    if number == "*":
        return _tag(name), EVERY
    if not _NUMBER.match(number):
        raise _out_of_range("The number of an item in a path to a DICOM tag must be a whole number or *")
    return _tag(name), int(number)


def _tag(text: str) -> int:
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    try:
        return parse_tag(text)
    except ValueError:
        raise codes.unknown_tag(text) from None


def _out_of_range(details: str) -> CodedError:
    return CodedError(codes.PARAMETER_OUT_OF_RANGE, details)
