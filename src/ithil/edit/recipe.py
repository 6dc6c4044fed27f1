"""What is to be done with instances, parsed and checked once: the fields of a request, ready for any process.

A recipe is plain data and JSON, so that a job keeps it among its arguments and every process that goes on with
the job makes the same of each instance.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from ithil import error_codes as codes
from ithil.dicom import charsets
from ithil.dicom.dictionary import format_tag, is_private
from ithil.dicom.level import Level
from ithil.dicom.main_tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from ithil.edit.profile import DEFAULT_VERSION, profile
from ithil.edit.tag_path import TagPath, parse_path
from ithil.edit.values import parse_value
from ithil.error_codes import CodedError

PATIENT_NAME = 0x00100010
IDENTITY_REMOVED, METHOD = 0x00120062, 0x00120063
TEMPORAL_INFORMATION_MODIFIED = 0x00280303

IDENTIFIERS = {
    PATIENT_ID: Level.PATIENT,
    STUDY_INSTANCE_UID: Level.STUDY,
    SERIES_INSTANCE_UID: Level.SERIES,
    SOP_INSTANCE_UID: Level.INSTANCE,
}
_NAMES = {
    PATIENT_ID: "PatientID",
    STUDY_INSTANCE_UID: "StudyInstanceUID",
    SERIES_INSTANCE_UID: "SeriesInstanceUID",
    SOP_INSTANCE_UID: "SOPInstanceUID",
}
MOST_PATHS = 10_000  # tags in one request


@dataclass(frozen=True)
class Recipe:
    """One modification or anonymisation.

    Attributes:
        level: identifiers of this level and below are made anew, unless they are replaced or kept.
        version: the edition of the confidentiality profile; "" for a modification.
        options: of the profile.
        remove_private: whether private elements go.
        replace: new values as JSON, by path. A path that is also to be kept is not here.
        remove: paths of elements that go.
        keep: paths of elements that nothing is done to.
        private_creator: whose private elements `replace` names.
        secret: from which new identifiers are drawn, in hexadecimal digits.
        default_encoding: of data sets that name no character set.
    """

    level: Level
    version: str = ""
    options: tuple[str, ...] = ()
    remove_private: bool = False
    replace: dict[TagPath, Any] = field(default_factory=dict)
    remove: tuple[TagPath, ...] = ()
    keep: tuple[TagPath, ...] = ()
    private_creator: str = ""
    secret: str = ""
    default_encoding: str = charsets.DEFAULT_ENCODING

    @property
    def anonymizes(self) -> bool:
        """Whether a confidentiality profile is applied."""
        return bool(self.version)

    def replaces(self, tag: int) -> bool:
        """Whether the element of the data set itself gets a given value."""
        return TagPath(tag) in self.replace

    def keeps(self, tag: int) -> bool:
        """Whether the element of the data set itself is kept on purpose."""
        return TagPath(tag) in self.keep

    def renews(self, tag: int) -> bool:
        """Whether this identifier is made anew."""
        return IDENTIFIERS[tag] >= self.level and not self.replaces(tag) and not self.keeps(tag)

    def touches(self, tags: frozenset[int]) -> bool:
        """Whether it gives a value to one of these elements of the data set, or takes one away."""
        return any(path.is_plain and path.tag in tags for path in (*self.replace, *self.remove))

    def says(self, tag: int) -> bool:
        """Whether anything is said of the element of the data set itself."""
        path = TagPath(tag)
        return path in self.replace or path in self.remove or path in self.keep

    def with_encoding(self, default_encoding: str) -> Recipe:
        """The same recipe for data sets whose text is in that encoding, unless they say otherwise."""
        return replace(self, default_encoding=default_encoding)

    def with_values(self, values: dict[int, Any]) -> Recipe:
        """The same recipe with values for elements for which it says nothing yet."""
        more = {TagPath(tag): value for tag, value in values.items() if not self.says(tag)}
        return replace(self, replace={**self.replace, **more})

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON."""
        return {
            "level": int(self.level),
            "version": self.version,
            "options": list(self.options),
            "remove_private": self.remove_private,
            "replace": {str(path): value for path, value in self.replace.items()},
            "remove": [str(path) for path in self.remove],
            "keep": [str(path) for path in self.keep],
            "private_creator": self.private_creator,
            "secret": self.secret,
            "default_encoding": self.default_encoding,
        }

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Recipe:
        """The inverse of `to_json`."""
        return cls(
            level=Level(json["level"]),
            version=json["version"],
            options=tuple(json["options"]),
            remove_private=json["remove_private"],
            replace={parse_path(text): value for text, value in json["replace"].items()},
            remove=tuple(map(parse_path, json["remove"])),
            keep=tuple(map(parse_path, json["keep"])),
            private_creator=json["private_creator"],
            secret=json["secret"],
            default_encoding=json["default_encoding"],
        )


def new_secret() -> str:
    """256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)


def parse_modification(body: dict[str, Any], level: Level, *, private_creator: str = "") -> Recipe:
    """The recipe in the body of a request to modify resources of `level`.

    `private_creator` holds where the body names none. Raises CodedError for fields of the wrong type, tags
    that are unknown, values that do not fit, and identifiers that may not be touched (without `Force`).
    """
    recipe = _parsed(body, level, private_creator)
    recipe = replace(recipe, remove_private=_boolean(body, "RemovePrivateTags"))
    if not _boolean(body, "Force"):
        if level is Level.PATIENT and not recipe.replaces(PATIENT_ID):
            raise _refused("To modify a patient, its PatientID must be replaced")
        _forbid_parents(recipe, level)
    return recipe


def parse_anonymization(body: dict[str, Any], *, server: str, private_creator: str = "") -> Recipe:
    """The recipe in the body of a request to anonymise.

    `server` is what DeidentificationMethod says of who did it. The name of the patient is still to be added
    (`Recipe.with_values`). Raises what `parse_modification` raises.
    """
    recipe = _parsed(body, Level.PATIENT, private_creator)
    version = body.get("DicomVersion", DEFAULT_VERSION)
    if not isinstance(version, str):
        raise _wrong_type("DicomVersion", "a string")
    options = tuple(_texts(body, "ProfileOptions"))
    keep_private = _boolean(body, "KeepPrivateTags")
    changed = bool(keep_private or recipe.replace or recipe.remove or recipe.keep)
    _boolean(body, "Force")
    title = profile(version, options).title
    method = server if changed else "\\".join((f"{server} - {title[0]}", *title[1:]))
    values: dict[int, Any] = {IDENTITY_REMOVED: "YES", METHOD: method}
    if "RetainLongitudinalFullDates" in options:
        values[TEMPORAL_INFORMATION_MODIFIED] = "UNMODIFIED"
    elif "RetainLongitudinalModifiedDates" in options:
        values[TEMPORAL_INFORMATION_MODIFIED] = "MODIFIED"
    recipe = replace(recipe, version=version, options=options, remove_private=not keep_private)
    return recipe.with_values(values)


def _parsed(body: dict[str, Any], level: Level, private_creator: str) -> Recipe:
    creator = body.get("PrivateCreator", private_creator)
    if not isinstance(creator, str) or len(creator) > 64:
        raise _wrong_type("PrivateCreator", "a string of at most 64 characters")
    force = _boolean(body, "Force")
    remove = _paths(_list(body, "Remove"))
    values = body.get("Replace", {})
    if not isinstance(values, dict):
        raise CodedError(codes.BAD_REQUEST, 'The field "Replace" must be an object')
    keep = _paths(_list(body, "Keep"))
    replacements = {parse_path(name): value for name, value in values.items()}
    if len(replacements) > MOST_PATHS:
        raise CodedError(codes.BAD_REQUEST, "There are too many tags in the request")
    if not force:
        _demand_force(remove, replacements, keep)
    if any(path.is_plain and path.tag in IDENTIFIERS for path in remove):
        raise _refused("The identifiers of patient, study, series and instance cannot be removed")
    replacements = {
        path: value for path, value in replacements.items() if path not in keep and _is_editable(path)
    }
    for path, value in replacements.items():
        parse_value(path.tag, value, creator if is_private(path.tag) else "")
    return Recipe(
        level=level,
        replace=replacements,
        remove=tuple(path for path in remove if path not in keep and path not in replacements),
        keep=keep,
        private_creator=creator,
        secret=new_secret(),
    )


def _is_editable(path: TagPath) -> bool:
    """Commands and file meta information are not edited; delimiters and group lengths are no attributes."""
    group, element = path.tag >> 16, path.tag & 0xFFFF
    if group == 0xFFFE:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, f"The tag {format_tag(path.tag)} cannot be edited")
    return group > 7 and element != 0


def _demand_force(
    remove: tuple[TagPath, ...], replacements: dict[TagPath, Any], keep: tuple[TagPath, ...]
) -> None:
    for paths, verb in ((remove, "remove"), (replacements, "replace"), (keep, "keep")):
        for path in paths:
            if path.is_plain and path.tag in IDENTIFIERS:
                raise _refused(f'To {verb} {_NAMES[path.tag]}, the field "Force" must be true')


def _forbid_parents(recipe: Recipe, level: Level) -> None:
    """Each level may only get a new identifier of its own, not of its parents or children."""
    for tag, of in IDENTIFIERS.items():
        if of is not level and recipe.replaces(tag):
            raise _refused(f"{_NAMES[tag]} cannot be replaced when a {level.singular.lower()} is modified")


def _paths(texts: list[str]) -> tuple[TagPath, ...]:
    if len(texts) > MOST_PATHS:
        raise CodedError(codes.BAD_REQUEST, "There are too many tags in the request")
    return tuple(dict.fromkeys(map(parse_path, texts)))


def _list(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CodedError(codes.BAD_REQUEST, f'The field "{name}" must be an array of tags')
    return value


def _texts(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong_type(name, "an array of strings")
    return value


def _boolean(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _wrong_type(name, "true or false")
    return value


def _wrong_type(name: str, wanted: str) -> CodedError:
    return CodedError(codes.BAD_FILE_FORMAT, f'The field "{name}" must be {wanted}')


def _refused(details: str) -> CodedError:
    return CodedError(codes.BAD_REQUEST, details)
