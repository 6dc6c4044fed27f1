"""Items of the worklist with what became of them: what was performed, and whether their study has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from ithil.archive import performed, worklist
from ithil.archive.archive import Archive
from ithil.archive.index import worklist as rows
from ithil.archive.performed import Scheduled
from ithil.archive.worklist import Item
from ithil.archive.worklist_item import STEP_ID, STUDY_INSTANCE_UID, study_of, text
from ithil.dicom.dataset import Element

_BATCH = 100

StateOf = Callable[[list[Element]], str]
"""What became of a scheduled step of an item: "" if nobody has begun with it."""


def due(archive: Archive) -> Iterator[tuple[Item, StateOf]]:
    """The items that are still to be done, with what became of their steps.

    With `DeleteWorklistsOnStableStudy` one whose study has arrived is done, even before it is removed.
    """
    source = worklist.items(archive)
    while batch := list(islice(source, _BATCH)):
        states = performed.states(archive, [text(item.data_set, STUDY_INSTANCE_UID) for item in batch])
        arrived: set[str] = set()
        if archive.settings.worklists.delete_worklists_on_stable_study:
            studies = [study_of(item.data_set) for item in batch]
            with archive.index.read() as session:
                arrived = rows.stable_studies(session, studies)
        for item in batch:
            if not arrived or study_of(item.data_set) not in arrived:
                yield item, _state_of(item, states)


def of(archive: Archive, item: Item) -> StateOf:
    """What became of the steps of one item."""
    return _state_of(item, performed.states(archive, [text(item.data_set, STUDY_INSTANCE_UID)]))


def _state_of(item: Item, states: Mapping[Scheduled, str]) -> StateOf:
    study = text(item.data_set, STUDY_INSTANCE_UID)

    def state(step: list[Element]) -> str:
        if not states or not study:
            return ""
        name = next(
            (bytes(one.value).decode("latin-1").strip(" \0") for one in step if one.tag == STEP_ID), ""
        )
        # Who performs may name the study alone; that holds for all of its steps.
        return states.get((study, name)) or states.get((study, ""), "")

    return state
