"""Options that speak of DICOM tags or of numbered names: main tags, the dictionary, metadata, attachments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ithil.dicom.dictionary import is_private, parse_tag
from ithil.dicom.level import Level
from ithil.settings.option import Context, WrongValue, choice, declare

_DICTIONARY_TAG = re.compile(r"([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{2}|[0-9A-Fa-f]{4})")
_LEVELS = {level.singular: level for level in Level}
_FIRST_USER_NUMBER, _LAST_USER_NUMBER = 1024, 65535
_NUMBERS = f"an object of integers from {_FIRST_USER_NUMBER} to {_LAST_USER_NUMBER}"
_KINDS = f"{_NUMBERS} or arrays of such an integer and a MIME type"
_MIME = re.compile(r"[\x20-\x7e]*")  # it goes into a header
_OVERWRITE = ("Never", "Always", "IfChanged")
_VRS = re.compile(r"A[EST]|CS|D[AST]|F[DL]|IS|L[OT]|O[BDFLVW]|PN|S[HLQSTV]|TM|U[CILNRSTV]")  # PS3.5 6.2


@dataclass(frozen=True, slots=True)
class CustomTag:
    """An entry of the option `Dictionary`. A private tag has the element's low byte only, 0xGGGG00EE."""

    tag: int
    vr: str
    name: str
    minimum: int = 1
    maximum: int = 1  # 0: no limit
    private_creator: str = ""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A kind of attachment that the configuration names."""

    number: int
    mime: str = "application/octet-stream"


def overwrite(key: str, default: str, meaning: str) -> Any:
    """`Never`, `Always` or `IfChanged`; before Orthanc 1.13 it was a boolean, which is still taken."""

    def convert(value: Any, _context: Context) -> str:
        if isinstance(value, bool):
            return "Always" if value else "Never"
        if not isinstance(value, str) or value not in _OVERWRITE:
            raise WrongValue('one of "Never", "Always", "IfChanged", or true or false')
        return value

    return choice(key, default, _OVERWRITE, meaning, convert=convert)


def main_tags(key: str, meaning: str) -> Any:
    """An object from levels to lists of tags, each a keyword or `gggg,eeee`."""
    allowed = "an object whose keys are Patient, Study, Series or Instance, with an array of tags each"
    return declare(key, "object of arrays of tags", {}, meaning, allowed, _main_tags)


def dictionary(key: str, meaning: str) -> Any:
    """An object from tags to [VR, name, minimum, maximum, private creator]."""
    return declare(key, "object of tags", {}, meaning, "an object of tags", _dictionary)


def metadata_names(key: str, meaning: str) -> Any:
    """An object from names to numbers of the user's range."""

    def convert(value: Any, _context: Context) -> dict[str, int]:
        result = {name: _user_number(name, number, _NUMBERS) for name, number in _named(value).items()}
        _distinct(list(result.values()))
        return result

    return declare(key, "object of integers", {}, meaning, "an object of integers", convert)


def content_types(key: str, meaning: str) -> Any:
    """An object from names to numbers, or to [number, MIME type]."""

    def convert(value: Any, _context: Context) -> dict[str, ContentType]:
        result = {}
        for name, below in _named(value).items():
            if isinstance(below, list):
                if len(below) != 2 or not isinstance(below[1], str):
                    raise WrongValue(_KINDS, f'"{name}" is another array')
                if not _MIME.fullmatch(below[1]):
                    raise WrongValue(_KINDS, f'the MIME type of "{name}" holds characters that it must not')
                result[name] = ContentType(_user_number(name, below[0], _KINDS), below[1])
            else:
                result[name] = ContentType(_user_number(name, below, _KINDS))
        _distinct([each.number for each in result.values()])
        return result

    allowed = "an object of integers or arrays [number, MIME type]"
    return declare(key, "object of integers or arrays", {}, meaning, allowed, convert)


def _main_tags(value: Any, context: Context) -> dict[Level, list[int]]:
    if not isinstance(value, dict):
        raise WrongValue("an object")
    try:
        own = {each.name: each.tag for each in _dictionary(context.root.get("Dictionary", {}), context)}
    except WrongValue:
        own = {}  # the option Dictionary itself will be complained of
    result: dict[Level, list[int]] = {}
    for name, tags in value.items():
        level = _LEVELS.get(name)
        if level is None:
            raise WrongValue(f'an object with the keys Patient, Study, Series and Instance, not "{name}"')
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise WrongValue(f'an object in which "{name}" is an array of tags, each a string')
        try:
            found = list(dict.fromkeys(own[tag] if tag in own else parse_tag(tag) for tag in tags))
        except ValueError as error:
            raise WrongValue(f"an object of known tags ({error})") from None
        if private := [tag for tag in found if is_private(tag)]:
            raise WrongValue(f"an object without private tags, but {private[0]:08x} is one")
        result[level] = found
    return result


def _dictionary(value: Any, _context: Context) -> list[CustomTag]:
    if not isinstance(value, dict):
        raise WrongValue("an object")
    result = []
    for written, entry in value.items():
        match = _DICTIONARY_TAG.fullmatch(written)
        if match is None:
            raise WrongValue(f'an object of tags as "gggg,eeee", not "{written}"')
        form = f'an object in which "{written}" is [VR, name, minimum, maximum, private creator]'
        if not isinstance(entry, list) or not 2 <= len(entry) <= 5:
            raise WrongValue(form)
        missing: list[Any] = ["", "", 1, 1, ""][len(entry) :]
        vr, name, minimum, maximum, creator = entry + missing
        if not all(isinstance(each, str) for each in (vr, name, creator)):
            raise WrongValue(form)
        if not _VRS.fullmatch(vr):
            raise WrongValue(f'an object in which the VR of "{written}" is one of PS3.5 6.2')
        for each in (minimum, maximum):
            if isinstance(each, bool) or not isinstance(each, int) or each < 0:
                raise WrongValue(form)
        if maximum and maximum < minimum:
            raise WrongValue(f'an object in which "{written}" has a maximum of at least the minimum, or 0')
        group, element = int(match.group(1), 16), int(match.group(2), 16)
        if group & 1 and not creator:
            raise WrongValue(f'an object in which "{written}" has a private creator: its group is odd')
        if creator and not group & 1:
            raise WrongValue(f'an object in which "{written}" has no private creator: its group is even')
        tag = group << 16 | (element & 0xFF if creator else element)
        result.append(CustomTag(tag, vr, name, minimum, maximum, creator))
    return result


def _named(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(value):
        raise WrongValue("an object of names")
    for name in value:
        if "/" in name:
            raise WrongValue("an object of names without slashes", f'"{name}" has one')
    return value


def _user_number(name: str, value: Any, allowed: str) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not _FIRST_USER_NUMBER <= value <= _LAST_USER_NUMBER
    ):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        raise WrongValue(allowed, f'"{name}" has {value}' if is_number else f'"{name}" has no integer')
    return value


def _distinct(numbers: list[int]) -> None:
    if len(set(numbers)) < len(numbers):
        raise WrongValue("an object in which no number stands twice")
