"""The confidentiality profiles: which attributes identify somebody, and what becomes of them (PS3.15 annex E).

The table is data (`profiles.txt`). It is applied to the data set and to the items of all its sequences.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

from ithil import error_codes as codes
from ithil.error_codes import CodedError

VERSIONS = ("2008", "2017c", "2021b", "2023b", "current")
DEFAULT_VERSION = "2023b"

OPTIONS = {
    "RetainUIDs": ("uids", "Retain UIDs Option"),
    "RetainDeviceIdentity": ("devices", "Retain Device Identity Option"),
    "RetainInstitutionIdentity": ("institution", "Retain Institution Identity Option"),
    "RetainPatientCharacteristics": ("patient", "Retain Patient Characteristics Option"),
    "RetainLongitudinalFullDates": ("dates", "Retain Longitudinal Full Dates Option"),
    "RetainLongitudinalModifiedDates": ("dates", "Retain Longitudinal Modified Dates Option"),
}
"""The options that can be asked for: the word that marks their attributes in the table, and their title."""

MODIFIED_DATES = "RetainLongitudinalModifiedDates"


class Action(Enum):
    """What is done with an attribute."""

    REMOVE = "X"
    EMPTY = "Z"
    REPLACE_UID = "U"
    SHIFT_DATE = "shift"


@dataclass(frozen=True, slots=True)
class Profile:
    """One edition of the table with some options. `title` is what DeidentificationMethod calls it."""

    actions: dict[int, Action]
    title: tuple[str, ...]

    def action(self, tag: int) -> Action | None:
        """What the profile does with a public attribute, None if nothing."""
        found = self.actions.get(tag)
        if found is None and tag >> 24 in (0x50, 0x60):
            element = tag & 0xFFFF
            if tag >> 24 == 0x50 or element in (0x3000, 0x4000):
                return Action.REMOVE
        return found


def profile(version: str, options: Iterable[str] = ()) -> Profile:
    """The profile of an edition. Raises CodedError (out of range) for an edition or option that is unknown."""
    if version not in VERSIONS:
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE,
            f"The editions of the confidentiality profile are {', '.join(VERSIONS)}",
        )
    chosen = tuple(sorted(set(options)))
    if not set(chosen) <= set(OPTIONS):
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE,
            f"The options of the confidentiality profile are {', '.join(OPTIONS)}",
        )
    return _profile(version, chosen)


@lru_cache(maxsize=32)
def _profile(version: str, options: tuple[str, ...]) -> Profile:
    words = {OPTIONS[option][0] for option in options}
    shifts = MODIFIED_DATES in options and "RetainLongitudinalFullDates" not in options
    column = VERSIONS.index(version)
    actions: dict[int, Action] = {}
    for tag, editions, keepers in _table():
        letter = editions[column]
        if letter == "-":
            continue
        if words.isdisjoint(keepers):
            actions[tag] = Action(letter)
        elif shifts and "dates" in keepers:
            actions[tag] = Action.SHIFT_DATE
    edition = f"PS 3.15-{version}" if version != "current" else "PS 3.15"
    basic = f"{edition} Table E.1-1" + ("" if version == "2008" else " Basic Profile")
    return Profile(actions, (basic, *(OPTIONS[option][1] for option in options)))


@lru_cache(maxsize=1)
def _table() -> list[tuple[int, tuple[str, ...], frozenset[str]]]:
    """Tag, action by edition, and the options that keep the attribute."""
    rows = []
    text = Path(__file__).with_name("profiles.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        tag, *columns = line.split()
        keepers = frozenset(columns[len(VERSIONS)].split(","))
        rows.append((int(tag.replace(",", ""), 16), tuple(columns[: len(VERSIONS)]), keepers))
    return rows
