"""Performed procedure steps: what is kept of them, and what scheduled steps become by them."""

from __future__ import annotations

import pytest

from ithil.archive import performed
from ithil.archive.archive import Archive
from ithil.archive.performed import COMPLETED, DISCONTINUED, IN_PROGRESS, StepEnded, StepTooLarge
from ithil.dicom.dataset import Element
from ithil.dicom.tags_format import simplified

STUDY = "1.2.3"


def text(tag: int, value: str, codec: str, vr: str = "LO") -> Element:
    raw = value.encode(codec)
    return Element(tag, vr, memoryview(raw + b" " * (len(raw) & 1)))


def begin(archive: Archive, uid: str, step: str = "S1", *elements: Element) -> None:
    performed.begin(archive, uid, "CT1", list(elements), [(STUDY, step)])


def state(archive: Archive, step: str = "S1") -> str | None:
    return performed.states(archive, [STUDY, "1.2.4"]).get((STUDY, step))


def test_of_several_performed_steps_the_one_that_goes_on_counts(archive: Archive) -> None:
    assert state(archive) is None
    begin(archive, "1")
    assert state(archive) == "STARTED"
    performed.change(archive, "1", [], DISCONTINUED)
    assert state(archive) == DISCONTINUED
    begin(archive, "2")
    assert state(archive) == "STARTED"
    performed.change(archive, "2", [], COMPLETED)
    assert state(archive) == COMPLETED
    assert state(archive, "S2") is None
    assert performed.of_study(archive, STUDY) == ["1", "2"]


def test_a_step_that_has_ended_stays_as_it_is(archive: Archive) -> None:
    begin(archive, "1")
    performed.change(archive, "1", [], COMPLETED)
    with pytest.raises(StepEnded):
        performed.change(archive, "1", [], IN_PROGRESS)
    step = performed.get(archive, "1")
    assert step is not None
    assert step.state == COMPLETED


@pytest.mark.parametrize(("later", "codec"), [("ISO_IR 192", "utf_8"), ("ISO_IR 144", "iso8859_5")])
def test_texts_in_different_character_sets(archive: Archive, later: str, codec: str) -> None:
    begin(
        archive,
        "1",
        "S1",
        text(0x00080005, "ISO_IR 100", "ascii", "CS"),
        text(0x00400254, "Kopf gro\u00df", "latin_1"),
    )
    changes = [
        text(0x00080005, later, "ascii", "CS"),
        text(0x00400280, "\u041f\u0430\u0443\u0437\u0430", codec, "ST"),
    ]
    performed.change(archive, "1", changes, "")
    step = performed.get(archive, "1")
    assert step is not None
    shown = simplified(step.data_set)
    assert shown["PerformedProcedureStepDescription"] == "Kopf gro\u00df"
    assert shown["CommentsOnThePerformedProcedureStep"] == "\u041f\u0430\u0443\u0437\u0430"


def test_a_step_does_not_grow_without_end(archive: Archive) -> None:
    begin(archive, "1")
    large = Element(0x00091010, "OB", memoryview(bytes(performed.LARGEST)))
    with pytest.raises(StepTooLarge):
        performed.change(archive, "1", [large], "")
    step = performed.get(archive, "1")
    assert step is not None
    assert step.state == IN_PROGRESS
