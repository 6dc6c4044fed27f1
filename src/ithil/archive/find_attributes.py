"""Searches that are answered with attributes: what QIDO-RS needs of each match (PS3.18 10.6.3.3).

Each match comes with the texts of all attributes that the index knows of it and of those above it. The rows of a
batch are read at once; nothing is asked for one match alone, unless attributes are wanted that only files have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from ithil.archive import find, headers
from ithil.archive.archive import Archive
from ithil.archive.index import find_answers, find_rows, query_tags
from ithil.archive.index.find_answers import SERIES_COLUMNS, STUDY_COLUMNS
from ithil.archive.index.find_columns import IN_STUDY
from ithil.archive.index.find_family import in_studies
from ithil.archive.index.read import keys_for
from ithil.archive.index.statement import Row, Session
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.dataset import Dataset
from ithil.dicom.dictionary import is_private
from ithil.dicom.level import Level

BATCH = find.BATCH
"""The most matches of a batch."""

Texts = dict[str, str]
"""Attributes by their eight hexadecimal digits in lower case, several values between backslashes."""

File = tuple[int | None, Attachment]
"""Where the pixel data begins in a stored file, and the file."""

COLLECTED = frozenset({*IN_STUDY, 0x00201200, 0x00201202, 0x00201204})
"""Attributes that take a statement of their own, so they have to be asked for."""

_COLLECTED_KEYS = {tag: f"{tag:08x}" for tag in COLLECTED}
_OF_PATIENT = ("00201200", "00201202", "00201204")


@dataclass(slots=True)
class Match:
    """One match: its internal id and the attributes that the index knows. `file` is that of an instance."""

    key: int
    texts: Texts
    file: File | None = None


def matches(
    archive: Archive,
    level: Level,
    batches: Iterable[Sequence[int]],
    collected: Iterable[int] = (),
    *,
    declared: frozenset[int] = frozenset(),
    of_one_series: bool = False,
) -> Iterator[list[Match]]:
    """The matches with these internal ids (of `find.keys`), in batches of `BATCH` at most; what is gone is left out.

    The level is study, series or instance. `collected` are those of `COLLECTED` that are wanted. `declared` are
    others, which come from the values of query tags where they are some of this level. With `of_one_series`
    studies have the attributes of one of their series as well.
    """
    wanted = frozenset(collected)
    for keys in batches:
        if not keys:
            continue
        with archive.index.read() as session:
            found = _read(session, level, keys, wanted)
            if declared:
                _add_declared(session, level, found, declared)
            if of_one_series and level == Level.STUDY:
                for key, main_tags in find_answers.first_series(session, keys_for(session, list(keys))):
                    if key in found:
                        found[key].texts = {**orjson.loads(main_tags), **found[key].texts}
        yield [found[key] for key in keys if key in found]


def _read(session: Session, level: Level, keys: Sequence[int], collected: frozenset[int]) -> dict[int, Match]:
    rows = find_answers.rows(session, level, keys_for(session, list(keys)))
    above = _Above(session, rows, collected)
    if level == Level.STUDY:
        return {row[0]: Match(row[0], above.of_study(row)) for row in rows}
    if level == Level.SERIES:
        return {row[0]: Match(row[0], above.of_series(row)) for row in rows}
    start = STUDY_COLUMNS + SERIES_COLUMNS
    found = {}
    for row in rows:
        own, sop_class, syntax, pixel_data, *file = row[start:]
        texts = {**above.of_series(row), **orjson.loads(own)}
        texts["00080016"] = sop_class
        texts["00083002"] = syntax
        found[row[0]] = Match(row[0], texts, (pixel_data, Attachment(DICOM_FILE, *file)))
    return found


def _add_declared(session: Session, level: Level, found: dict[int, Match], tags: frozenset[int]) -> None:
    """Attributes that were declared as query tags of this level."""
    # A private attribute is shown with its creator, whom the table does not have for each value.
    names = {
        tag.key: f"{tag.path[0]:08x}"
        for tag in query_tags.all_tags(session)
        if tag.level == level
        and tag.status == query_tags.READY
        and len(tag.path) == 1
        and tag.path[0] in tags
        and not is_private(tag.path[0])
    }
    if not names:
        return
    for key, texts in query_tags.values_of(session, level, list(found)).items():
        for tag, text in texts.items():
            if tag in names:
                found[key].texts.setdefault(names[tag], text)


class _Above:
    """The attributes of studies and series, each made once however many rows share it."""

    def __init__(self, session: Session, rows: Sequence[Row], collected: frozenset[int]) -> None:
        self._studies: dict[int, Texts] = {}
        self._series: dict[int, Texts] = {}
        self._in_studies: list[tuple[str, dict[int, list[str]]]] = []
        self._patients: dict[int, tuple[int, int, int]] = {}
        if not collected or not rows:
            return
        studies = list({row[1] for row in rows})
        for tag, (column, _) in IN_STUDY.items():
            if tag in collected:
                self._in_studies.append((_COLLECTED_KEYS[tag], in_studies(session, column, studies)))
        if not collected <= IN_STUDY.keys():
            patients = list({row[6] for row in rows})
            self._patients = find_answers.patient_counts(session, keys_for(session, patients))

    def of_study(self, row: Row) -> Texts:
        key = row[1]
        texts = self._studies.get(key)
        if texts is None:
            texts = {**orjson.loads(row[3]), **orjson.loads(row[2])}
            texts["00080056"] = "ONLINE"
            texts["00201206"] = str(row[4])
            texts["00201208"] = str(row[5])
            for name, values in self._in_studies:
                texts[name] = "\\".join(values.get(key, ()))
            if self._patients:
                counts = self._patients.get(row[6], (0, 0, 0))
                texts.update(zip(_OF_PATIENT, map(str, counts), strict=True))
            self._studies[key] = texts
        return texts

    def of_series(self, row: Row) -> Texts:
        key, own, count = row[STUDY_COLUMNS : STUDY_COLUMNS + SERIES_COLUMNS]
        texts = self._series.get(key)
        if texts is None:
            texts = {**self.of_study(row), **orjson.loads(own)}
            texts["00201209"] = str(count)
            self._series[key] = texts
        return texts


def files(archive: Archive, level: Level, found: Sequence[Match]) -> dict[int, File]:
    """The file of one instance of each match, by internal id."""
    if level == Level.INSTANCE:
        return {one.key: one.file for one in found if one.file is not None}
    with archive.index.read() as session:
        rows = find_rows.first_instances(session, level, keys_for(session, [one.key for one in found]))
    return {key: (pixel_data, file) for key, (_, pixel_data, file) in rows.items()}


def texts_in_file(archive: Archive, file: File, tags: frozenset[int]) -> dict[int, str] | None:
    """The texts of top-level attributes in a file; None if it cannot be read, which hides no match.

    Raises StorageUnavailable, which is about more than this file.
    """
    try:
        return find.file_tags(archive, file[1], file[0], tags)
    except headers.UNREADABLE:
        return None


def header_of(archive: Archive, file: File) -> Dataset | None:
    """All elements of a file up to its pixel data; None if it cannot be read. Raises StorageUnavailable."""
    try:
        return headers.read(archive, file[1], file[0])
    except headers.UNREADABLE:
        return None
