"""The instances of a selection one after the other, with the name that each has in the archive.

The index is read a page at a time, and never across the time that a client takes to receive what came before.
Patients, studies and series come in the order of their public ids as in Orthanc, instances of a series in the
order of their arrival (or as the client named them). What is deleted meanwhile is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from ithil.archive.archive import Archive
from ithil.archive.export import names
from ithil.archive.export.selection import Node, Selection
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS, tags_from_json
from ithil.archive.index.statement import Row, Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.level import Level

_PAGE = 500  # instances


@dataclass(frozen=True, slots=True)
class Member:
    """One instance in the archive.

    `name` is its entry, with folders; `parents` are patient, study and series by their ids in the index.
    """

    name: str
    parents: tuple[int, int, int]
    instance: str
    transfer_syntax: str
    file: Attachment


_i = t.instances.c
_COLUMNS = [_i.id, _i.public_id, _i.transfer_syntax_uid, *DICOM_FILE_COLUMNS]
_OF_SERIES = Statement(
    sa.select(*_COLUMNS)
    .where(_i.series == sa.bindparam("series"), _i.id > sa.bindparam("after"))
    .order_by(_i.id)
    .limit(_PAGE)
)
_SINGLE = Statement(sa.select(*_COLUMNS).where(_i.id == sa.bindparam("id")))
_CHILDREN = {
    level: Statement(
        sa.select(t.BY_LEVEL[level + 1].c.id, t.BY_LEVEL[level + 1].c.public_id)
        .where(t.BY_LEVEL[level + 1].c[t.PARENT_COLUMN[level + 1]] == sa.bindparam("parent"))
        .order_by(t.BY_LEVEL[level + 1].c.public_id)
    )
    for level in (Level.PATIENT, Level.STUDY)
}
_TAGS = {
    level: Statement(
        sa.select(t.BY_LEVEL[level].c.main_tags).where(t.BY_LEVEL[level].c.id == sa.bindparam("id"))
    )
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
}


def archive_members(archive: Archive, selection: Selection, *, utf8: bool) -> Iterator[Member]:
    """The instances as an archive has them: in folders of patient, study and series."""
    patients = names.Siblings()
    for patient in _ordered(selection):
        patient_folder = _folder(archive, patient, patients, utf8)
        if patient_folder is None:
            continue
        studies = names.Siblings()
        for study in _children(archive, patient):
            study_folder = _folder(archive, study, studies, utf8)
            if study_folder is None:
                continue
            series_names = names.Siblings()
            for series in _children(archive, study):
                tags = _tags(archive, series)
                if tags is None:
                    continue
                folder = series_names.unique(names.folder(Level.SERIES, tags, utf8=utf8))
                place = f"{patient_folder}/{study_folder}/{folder}"
                modality = names.modality_of(tags)
                parents = (patient.id, study.id, series.id)
                for number, row in enumerate(_instances(archive, series)):
                    yield _member(f"{place}/{names.file(modality, number, utf8=utf8)}", parents, row)


def media_members(archive: Archive, selection: Selection) -> Iterator[Member]:
    """The instances as a medium has them: numbered, in one folder (PS3.10 8.2 allows eight characters)."""
    number = 0
    for patient in _ordered(selection):
        for study in _children(archive, patient):
            for series in _children(archive, study):
                parents = (patient.id, study.id, series.id)
                for row in _instances(archive, series):
                    yield _member(f"IMAGES/IM{number}", parents, row)
                    number += 1


def _member(name: str, parents: tuple[int, int, int], row: Row) -> Member:
    return Member(name, parents, row[1], row[2], Attachment(DICOM_FILE, *row[3:]))


def _ordered(nodes: dict[int, Node]) -> list[Node]:
    return sorted(nodes.values(), key=lambda node: node.public_id)


def _children(archive: Archive, node: Node) -> list[Node]:
    """The studies of a patient or the series of a study that are in the archive."""
    if not node.whole:
        return _ordered(node.below)
    below = Level(node.level + 1)
    with archive.index.read() as session:
        rows = session.all(_CHILDREN[node.level], {"parent": node.id})
    return [Node(below, key, public_id, whole=True) for key, public_id in rows]


def _tags(archive: Archive, node: Node) -> dict[int, str] | None:
    """The main tags of a resource, None if it is gone."""
    with archive.index.read() as session:
        row = session.one(_TAGS[node.level], {"id": node.id})
    return None if row is None else tags_from_json(row[0])


def _folder(archive: Archive, node: Node, siblings: names.Siblings, utf8: bool) -> str | None:
    tags = _tags(archive, node)
    return None if tags is None else siblings.unique(names.folder(node.level, tags, utf8=utf8))


def _instances(archive: Archive, series: Node) -> Iterator[Row]:
    if not series.whole:
        for node in series.below.values():
            with archive.index.read() as session:
                row = session.one(_SINGLE, {"id": node.id})
            if row is not None:
                yield row
        return
    after = -1
    while True:
        with archive.index.read() as session:
            rows = session.all(_OF_SERIES, {"series": series.id, "after": after})
        yield from rows
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]
