"""Searches that are answered with attributes: what QIDO-RS needs of each match (PS3.18 10.6.3.3).

Each match comes with the texts of all attributes that the index knows of it and of those above it. The rows of a
batch are read at once; nothing is asked for one match alone, unless attributes are wanted that only files have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from ithil.archive import find, headers
from ithil.archive.archive import Archive
from ithil.archive.index import find_answers, find_rows, query_tags
from ithil.archive.index.find_answers import SERIES_COLUMNS
from ithil.archive.index.find_columns import IN_STUDY
from ithil.archive.index.read import keys_for
from ithil.archive.index.statement import Session
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
_NOTHING: Texts = {}


Source = tuple[Any, ...]
"""What the attributes of a study are made of: the layout, then the columns of the index."""


class _Layout(NamedTuple):
    """What a row of `find_answers.studies` has beside the main tags and counts of the study."""

    in_study: tuple[int, ...]
    of_one_series: bool
    of_patient: bool


@dataclass(slots=True)
class Match:
    """One match: its internal id, and of an instance its file.

    A study has its `source`, from which its attributes are made when somebody looks at them: as long as that is
    equal they are, whatever was written in between. Others have None, and their attributes are `given`.
    """

    key: int
    given: Texts | None
    file: File | None = None
    source: Source | None = None

    @property
    def texts(self) -> Texts:
        """The attributes that the index knows."""
        if self.given is None:
            assert self.source is not None
            self.given = _texts_of_study(self.source)
        return self.given


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
    in_study = tuple(tag for tag in IN_STUDY if tag in wanted)
    layout = _Layout(in_study, of_one_series and level == Level.STUDY, not wanted <= IN_STUDY.keys())
    for keys in batches:
        if not keys:
            continue
        with archive.index.read() as session:
            known = _declared(session, level, keys, declared) if declared else {}
            if level == Level.STUDY:
                found = _studies(session, keys, layout)
            else:
                found = _below(session, level, keys, layout)
        for key, texts in known.items():
            one = found.get(key)
            if one is not None and one.source is not None:
                found[key] = Match(key, _texts_of_study(one.source, texts))
            elif one is not None:
                one.given = {**texts, **one.texts}
        yield [found[key] for key in keys if key in found]


def _studies(session: Session, keys: Sequence[int], layout: _Layout) -> dict[int, Match]:
    rows = find_answers.studies(session, keys_for(session, list(keys)), *layout)
    return {row[0]: Match(row[0], None, None, (layout, *row)) for row in rows}


def _texts_of_study(source: Source, declared: Texts = _NOTHING) -> Texts:
    """The attributes of a study. Its own count more than those that are `declared`, and these more than a series'."""
    layout, _, own, of_patient, series, instances, *more = source
    texts = {**declared, **orjson.loads(of_patient), **orjson.loads(own)}
    texts["00080056"] = "ONLINE"
    texts["00201206"] = str(series)
    texts["00201208"] = str(instances)
    for tag, values in zip(layout.in_study, more, strict=False):
        different = orjson.loads(values) if values else ()
        texts[_COLLECTED_KEYS[tag]] = "\\".join(sorted(filter(None, different)))
    if layout.of_patient:
        texts.update(zip(_OF_PATIENT, map(str, more[-len(_OF_PATIENT) :]), strict=True))
    if layout.of_one_series:
        first = more[len(layout.in_study)]
        if first is not None:
            texts = {**orjson.loads(first), **texts}
    return texts


def _below(session: Session, level: Level, keys: Sequence[int], layout: _Layout) -> dict[int, Match]:
    """Series or instances. Those of one study or series share its attributes, which are read and made once."""
    rows = find_answers.rows(session, level, keys_for(session, list(keys)))
    studies = _studies(session, list({row[1] for row in rows}), layout)
    series: dict[int, Texts] = {}
    found = {}
    for row in rows:
        study, key, main_tags, count = row[1 : 1 + SERIES_COLUMNS]
        if study not in studies:
            continue  # deleted in this moment
        of_series = series.get(key)
        if of_series is None:
            of_series = {**studies[study].texts, **orjson.loads(main_tags), "00201209": str(count)}
            series[key] = of_series
        if level == Level.SERIES:
            found[row[0]] = Match(row[0], of_series)
            continue
        own, sop_class, syntax, pixel_data, *file = row[1 + SERIES_COLUMNS :]
        texts = {**of_series, **orjson.loads(own), "00080016": sop_class, "00083002": syntax}
        found[row[0]] = Match(row[0], texts, (pixel_data, Attachment(DICOM_FILE, *file)))
    return found


def _declared(session: Session, level: Level, keys: Sequence[int], tags: frozenset[int]) -> dict[int, Texts]:
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
        return {}
    found = query_tags.values_of(session, level, list(keys))
    return {
        key: {names[tag]: text for tag, text in texts.items() if tag in names} for key, texts in found.items()
    }


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
