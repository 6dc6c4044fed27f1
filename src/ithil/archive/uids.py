"""What is stored under a UID, for those who know resources by DICOM's names and not by public ids.

A UID is to name one thing only, yet the same study may be stored for two patients, when an identifier was
mended at the source. Then all of it is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.level import Level

_STUDY = t.studies.c.study_instance_uid == sa.bindparam("study")
_SERIES = t.series.c.series_instance_uid == sa.bindparam("series")
_INSTANCE = t.instances.c.sop_instance_uid == sa.bindparam("instance")

_STATEMENTS = {
    Level.STUDY: Statement(sa.select(t.studies.c.public_id).where(_STUDY).order_by(t.studies.c.id.desc())),
    Level.SERIES: Statement(
        sa.select(t.series.c.public_id)
        .join(t.studies, t.studies.c.id == t.series.c.study)
        .where(_SERIES, _STUDY)
        .order_by(t.series.c.id.desc())
    ),
    Level.INSTANCE: Statement(
        sa.select(t.instances.c.public_id)
        .join(t.series, t.series.c.id == t.instances.c.series)
        .join(t.studies, t.studies.c.id == t.series.c.study)
        .where(_INSTANCE, _SERIES, _STUDY)
        .order_by(t.instances.c.id.desc())
    ),
}


def public_ids(archive: Archive, study: str, series: str = "", instance: str = "") -> list[str]:
    """Public ids of what the UIDs name, a study, a series or an instance; the newest first, [] if unknown."""
    level = Level.INSTANCE if instance else Level.SERIES if series else Level.STUDY
    names = {"study": study, "series": series, "instance": instance}
    used = dict(list(names.items())[:level])
    with archive.index.read() as session:
        return [public_id for (public_id,) in session.all(_STATEMENTS[level], used)]


@dataclass(frozen=True, slots=True)
class Located:
    """An instance and its file; `pixel_data_offset` is None where the pixel data has no place in the file."""

    id: str
    transfer_syntax: str
    pixel_data_offset: int | None
    file: Attachment


_i = t.instances.c
_LOCATED = Statement(
    sa.select(_i.public_id, _i.transfer_syntax_uid, _i.pixel_data_offset, *DICOM_FILE_COLUMNS)
    .join_from(t.instances, t.series, t.series.c.id == _i.series)
    .join(t.studies, t.studies.c.id == t.series.c.study)
    .where(_INSTANCE, _SERIES, _STUDY)
    .order_by(_i.id.desc())
    .limit(1)
)


def locate(archive: Archive, study: str, series: str, instance: str) -> Located | None:
    """The instance that the UIDs name, the newest if there are several; None if it is unknown."""
    with archive.index.read() as session:
        row = session.one(_LOCATED, {"study": study, "series": series, "instance": instance})
    return None if row is None else Located(row[0], row[1], row[2], Attachment(DICOM_FILE, *row[3:]))
