"""The editions of the confidentiality profile, and their options."""

from __future__ import annotations

import pytest

from ithil import error_codes as codes
from ithil.edit.profile import DEFAULT_VERSION, OPTIONS, VERSIONS, Action, profile
from ithil.error_codes import CodedError

# What Orthanc counts in each edition that both know: what it removes, empties and gives a new UID.
COUNTS = {"2008": (39, 0, 8), "2017c": (215, 20, 29), "2021b": (316, 85, 45), "2023b": (408, 138, 51)}


@pytest.mark.parametrize(("version", "counts"), COUNTS.items())
def test_the_editions_do_as_much_as_orthancs(version: str, counts: tuple[int, int, int]) -> None:
    actions = list(profile(version).actions.values())
    assert tuple(actions.count(each) for each in (Action.REMOVE, Action.EMPTY, Action.REPLACE_UID)) == counts


def test_the_current_edition_does_all_that_the_default_does() -> None:
    default, current = profile(DEFAULT_VERSION).actions, profile("current").actions
    assert default.items() <= current.items()
    assert current[0x00100012] is Action.REMOVE  # NameToUse


@pytest.mark.parametrize("version", VERSIONS)
def test_curves_and_overlays_go_in_every_edition(version: str) -> None:
    made = profile(version)
    for tag in (0x50000005, 0x50143000, 0x60003000, 0x60FE4000):
        assert made.action(tag) is Action.REMOVE
    assert made.action(0x60000010) is None  # OverlayRows


@pytest.mark.parametrize(
    ("option", "tag"),
    [
        ("RetainUIDs", 0x00200052),
        ("RetainDeviceIdentity", 0x00181000),
        ("RetainInstitutionIdentity", 0x00080080),
        ("RetainPatientCharacteristics", 0x00101010),
        ("RetainLongitudinalFullDates", 0x00080020),
    ],
)
def test_an_option_keeps_its_attributes(option: str, tag: int) -> None:
    assert profile(DEFAULT_VERSION).action(tag) is not None
    made = profile(DEFAULT_VERSION, [option])
    assert made.action(tag) is None
    assert made.action(0x00100030) is Action.EMPTY  # PatientBirthDate goes whatever is retained
    assert made.title[1:] == (OPTIONS[option][1],)


def test_dates_that_are_modified_move() -> None:
    made = profile(DEFAULT_VERSION, ["RetainLongitudinalModifiedDates"])
    assert made.action(0x00080020) is Action.SHIFT_DATE
    assert made.action(0x00100030) is Action.EMPTY


@pytest.mark.parametrize(("version", "options"), [("1999", []), ("", []), ("2023b", ["RetainEverything"])])
def test_what_is_unknown_is_refused(version: str, options: list[str]) -> None:
    with pytest.raises(CodedError) as refusal:
        profile(version, options)
    assert refusal.value.code == codes.PARAMETER_OUT_OF_RANGE
