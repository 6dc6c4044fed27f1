"""Jobs that edit, broken off at any step and begun again with an older checkpoint: nothing happens twice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.data import synthetic

from ithil.archive import changes, ingest, resources
from ithil.archive.archive import Archive
from ithil.archive.model import Origin
from ithil.dicom.level import Level
from ithil.edit.recipe import PATIENT_NAME, Recipe, parse_anonymization, parse_modification
from ithil.jobs.kind import Interrupted, Output
from ithil.jobs.kinds.edit_arguments import EditArguments
from ithil.jobs.kinds.modification import ModificationKind, arguments, content
from ithil.settings import Settings

T = TypeVar("T")
R = TypeVar("R")
COUNT = 12


class BrokenTask:
    """A task whose process dies at save number `dies_at`; only every third save reaches the index."""

    def __init__(self, archive: Archive, job: dict[str, Any], kept: dict[str, Any], dies_at: int) -> None:
        self.archive = archive
        self.id = "job"
        self.arguments = job
        self.kept = kept
        self.checkpoint = copy.deepcopy(kept)
        self.content: dict[str, Any] = {}
        self._saves = 0
        self._dies_at = dies_at

    def save(self, progress: float, *, now: bool = False) -> None:
        self._saves += 1
        if self._saves == self._dies_at:
            raise Interrupted
        if now or self._saves % 3 == 0:
            self.kept = copy.deepcopy(self.checkpoint)

    def add_output(self, output: Output) -> None:
        raise AssertionError

    def each(self, work: Callable[[T], R], items: Iterable[T], *, ahead: int = 8) -> Iterator[R]:
        return map(work, items)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(Settings(storage_directory=tmp_path))
    for number in range(COUNT):
        image = synthetic.instance(0, number % 2, number, size=8).content
        ingest.store(opened, image, Origin("RestApi"))
    yield opened
    opened.close()


def job_of(archive: Archive, recipe: Recipe, **more: Any) -> tuple[dict[str, Any], str, list[str]]:
    (study,) = resources.list_ids(archive, Level.STUDY)
    instances = resources.list_ids(archive, Level.INSTANCE)
    edit = EditArguments(
        recipe, Level.STUDY, instances, origin=Origin("RestApi"), submitted="20200101T000000", **more
    )
    assert content(edit, [study])["InstancesCount"] == COUNT
    return arguments(edit, bulk=False), study, instances


def run_with_deaths(archive: Archive, job: dict[str, Any], dies_at: int) -> tuple[dict[str, Any], int]:
    """Run until the job ends, with a process that dies at each of its first runs; gives the content."""
    kept: dict[str, Any] = {}
    deaths = 0
    while True:
        task = BrokenTask(archive, job, kept, dies_at + deaths if deaths < 8 else 10_000)
        try:
            ModificationKind().run(task)
        except Interrupted:
            kept, deaths = task.kept, deaths + 1
        else:
            return task.content, deaths


@pytest.mark.parametrize("transcode", ["", "1.2.840.10008.1.2"])
@pytest.mark.parametrize("dies_at", [1, 2, 4, 7])
def test_every_instance_is_made_once(archive: Archive, dies_at: int, transcode: str) -> None:
    recipe = parse_anonymization({}, server="Test").with_values({PATIENT_NAME: "Nobody"})
    job, study, instances = job_of(archive, recipe, transcode=transcode)
    made, deaths = run_with_deaths(archive, job, dies_at)
    assert deaths > 0
    new = resources.descendants(archive, Level.STUDY, made["ID"], Level.INSTANCE)
    assert new is not None
    assert len(new) == COUNT
    sources = [each.metadata[6].value for each in resources.read_many(archive, Level.INSTANCE, new)]
    assert sorted(sources) == sorted(instances)
    kinds = [each.kind for each in changes.page(archive, 0, 1000).changes]
    assert kinds.count("AnonymizedStudy") == 1
    assert kinds.count("AnonymizedSeries") == 2
    assert kinds.count("NewInstance") == 2 * COUNT
    assert resources.exists(archive, Level.STUDY, study)


@pytest.mark.parametrize("dies_at", [3, 11, 13, 14, 15])
def test_sources_go_once_all_is_made(archive: Archive, dies_at: int) -> None:
    job, study, _ = job_of(archive, parse_modification({}, Level.STUDY), keep_source=False)
    made, _ = run_with_deaths(archive, job, dies_at)
    assert not resources.exists(archive, Level.STUDY, study)
    assert resources.list_ids(archive, Level.STUDY) == [made["ID"]]
    assert len(resources.list_ids(archive, Level.INSTANCE)) == COUNT


@pytest.mark.parametrize("dies_at", [3, 12, 14])
def test_an_edit_in_place_that_was_broken_off(archive: Archive, dies_at: int) -> None:
    body = {
        "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
        "Replace": {"StudyDescription": "corrected"},
        "Force": True,
    }
    job, study, instances = job_of(archive, parse_modification(body, Level.STUDY), keep_source=False)
    made, _ = run_with_deaths(archive, job, dies_at)
    assert made["ID"] == study
    assert sorted(resources.list_ids(archive, Level.INSTANCE)) == sorted(instances)
    found = resources.read(archive, Level.STUDY, study)
    assert found is not None
    assert found.main_tags[0x00081030] == "corrected"


@pytest.mark.parametrize("dies_at", [1, 4])
def test_a_job_that_is_broken_off_names_what_it_leaves(archive: Archive, dies_at: int) -> None:
    job, _, _ = job_of(archive, parse_modification({}, Level.STUDY))
    task = BrokenTask(archive, job, {}, dies_at)
    with pytest.raises(Interrupted):
        ModificationKind().run(task)
    made = task.content["ID"]
    assert task.content["Type"] == "Study"
    assert task.content["Path"] == f"/studies/{made}"
    assert task.content["PatientID"] == resources.list_ids(archive, Level.PATIENT)[0]
    left = resources.descendants(archive, Level.STUDY, made, Level.INSTANCE)
    assert left is not None
    assert dies_at <= len(left) < COUNT
