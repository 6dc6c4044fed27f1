"""From the scanned header of an instance to the rows of the index.

The instance's own row is made for every instance; the rows of its parents only when the index asks, since
nearly every instance belongs to a series that is known already.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ithil.archive.index.ingest import NewInstance
from ithil.archive.index.read import tags_to_json
from ithil.archive.model import Attachment, Origin, Provenance
from ithil.dicom.identifiers import public_ids
from ithil.dicom.level import Level
from ithil.dicom.main_tags import (
    MAIN_TAGS,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    normalise,
)
from ithil.dicom.scan import Scan

_INSTANCE_NUMBER, _IMAGE_INDEX = 0x00200013, 0x00541330
_IMAGES_IN_ACQUISITION, _TEMPORAL_POSITIONS = 0x00201002, 0x00200105
_SLICES, _TIME_SLICES, _CARDIAC_IMAGES = 0x00540081, 0x00540101, 0x00181090

IDENTIFIERS = frozenset({PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID})
_ALWAYS = (
    IDENTIFIERS
    | {SOP_CLASS_UID}
    | {_INSTANCE_NUMBER, _IMAGE_INDEX, _IMAGES_IN_ACQUISITION, _TEMPORAL_POSITIONS}
    | {_SLICES, _TIME_SLICES, _CARDIAC_IMAGES}
)

_INTEGER = re.compile(r"\s*[+-]?\d{1,12}\s*")


def integer(text: str | None) -> int | None:
    """The whole number that a DICOM integer string says, or None if it says none."""
    if text and _INTEGER.fullmatch(text):
        return int(text)
    return None


def instance_ids(tags: dict[int, str]) -> tuple[str, str, str, str] | None:
    """The public ids of patient, study, series and instance, or None if a UID is missing."""
    study, series, sop = (
        tags.get(STUDY_INSTANCE_UID),
        tags.get(SERIES_INSTANCE_UID),
        tags.get(SOP_INSTANCE_UID),
    )
    if not study or not series or not sop:
        return None
    return public_ids(tags.get(PATIENT_ID, ""), study, series, sop)


def new_instance(
    scan: Scan,
    all_tags: Callable[[], dict[int, str]],
    ids: tuple[str, str, str, str],
    tags_of: TagsOfLevels,
    file: Attachment,
    frame_index: bytes | None,
    origin: Origin,
    provenance: Provenance | None,
    overwrite: str,
    now: tuple[float, str],
    stable_age: float,
) -> NewInstance:
    """What the index needs for an instance.

    `scan` has found the tags in `tags_of.instance`; `all_tags` gives those of all levels and is only called
    if a parent of the instance is new.
    """
    seconds, date = now
    tags = scan.tags
    frames = scan.number_of_frames or 0
    index_in_series = integer(tags.get(_INSTANCE_NUMBER))
    if index_in_series is None:
        index_in_series = integer(tags.get(_IMAGE_INDEX))
    instance: dict[str, Any] = {
        "public_id": ids[Level.INSTANCE],
        "sop_instance_uid": _column(tags[SOP_INSTANCE_UID]),
        "sop_class_uid": _column(tags.get(SOP_CLASS_UID, "")),
        "transfer_syntax_uid": _column(scan.transfer_syntax_uid),
        "instance_number": integer(tags.get(_INSTANCE_NUMBER)),
        "index_in_series": index_in_series,
        "frames": frames if 0 < frames < 2**31 else 0,
        "pixel_data_offset": scan.pixel_data_offset,
        "frame_index": frame_index,
        "main_tags": tags_to_json(pick(tags, tags_of.main[Level.INSTANCE])),
        "metadata": _instance_metadata(scan, origin, provenance, date),
        "file_uuid": file.uuid,
        "file_compression": file.compression,
        "file_stored_size": file.compressed_size,
        "file_stored_md5": file.compressed_md5,
        "file_size": file.uncompressed_size,
        "file_md5": file.uncompressed_md5,
    }
    return NewInstance(
        public_ids=ids,
        instance=instance,
        parent=lambda level: _parent_row(level, all_tags(), ids, tags_of.main, origin, provenance, seconds),
        expects=expected_instances(tags) is not None,
        overwrite=overwrite,
        date=date,
        arrived_at=seconds,
        stable_at=seconds + stable_age,
    )


def pick(tags: dict[int, str], wanted: tuple[int, ...]) -> dict[int, str]:
    """Those of the wanted tags that the data set has."""
    return {tag: tags[tag] for tag in wanted if tag in tags}


def expected_instances(tags: dict[int, str]) -> int | None:
    """How many instances the series will have in the end, if its instances tell (None if they do not)."""
    for first, second in ((_IMAGES_IN_ACQUISITION, _TEMPORAL_POSITIONS), (_SLICES, _TIME_SLICES)):
        count, times = integer(tags.get(first)), integer(tags.get(second))
        if count and times and 0 < count * times < 2**31:
            return count * times
    count = integer(tags.get(_CARDIAC_IMAGES))
    return count if count and 0 < count < 2**31 else None


def _instance_metadata(scan: Scan, origin: Origin, provenance: Provenance | None, date: str) -> str:
    """The metadata that never change, by Orthanc's numbers."""
    metadata: dict[str, str] = {}
    index_in_series = scan.tags.get(_INSTANCE_NUMBER, scan.tags.get(_IMAGE_INDEX))
    if index_in_series is not None:
        metadata["1"] = index_in_series
    metadata["2"] = date
    metadata["3"] = origin.remote_aet
    metadata |= _derived(provenance, Level.INSTANCE)
    metadata["8"] = origin.kind
    metadata["9"] = scan.transfer_syntax_uid
    metadata["10"] = scan.tags.get(SOP_CLASS_UID, "")
    if origin.remote_ip:
        metadata["11"] = origin.remote_ip
    if origin.called_aet:
        metadata["12"] = origin.called_aet
    if origin.kind == "RestApi":
        metadata["13"] = origin.http_username
    if scan.pixel_data_offset is not None and scan.has_preamble:
        metadata["14"] = str(scan.pixel_data_offset)
    return orjson.dumps(metadata).decode()


def _derived(provenance: Provenance | None, level: Level) -> dict[str, str]:
    """The metadata that tells from what a resource was made."""
    if provenance is None or not provenance.sources[level]:
        return {}
    return {str(provenance.metadata): provenance.sources[level]}


def _column(text: str) -> str:
    """Text as PostgreSQL can keep it: without NUL characters, which no valid value has."""
    return text.replace("\0", "") if "\0" in text else text


def _parent_row(
    level: Level,
    tags: dict[int, str],
    ids: tuple[str, str, str, str],
    main_tags: dict[Level, tuple[int, ...]],
    origin: Origin,
    provenance: Provenance | None,
    arrived_at: float,
) -> dict[str, Any]:
    """The columns of a new patient, study or series, but for the internal id of its own parent."""

    def text(tag: int) -> str:
        return _column(tags.get(tag, ""))

    def norm(tag: int) -> str:
        return _column(normalise(tags.get(tag, "")))

    metadata = _derived(provenance, level)
    row: dict[str, Any] = {
        "public_id": ids[level],
        "main_tags": tags_to_json(pick(tags, main_tags[level])),
        "arrived_at": arrived_at,
    }
    if level in (Level.PATIENT, Level.STUDY):
        row |= {
            "patient_id_norm": norm(PATIENT_ID),
            "patient_name_norm": norm(0x00100010),
            "birth_date": text(0x00100030),
            "sex": text(0x00100040),
        }
    if level == Level.PATIENT:
        row["patient_id"] = text(PATIENT_ID)
    elif level == Level.STUDY:
        row |= {
            "study_instance_uid": text(STUDY_INSTANCE_UID),
            "study_date": text(0x00080020),
            "study_time": text(0x00080030),
            "accession_number_norm": norm(0x00080050),
            "study_id": text(0x00200010),
            "description_norm": norm(0x00081030),
            "referring_physician_norm": norm(0x00080090),
            "institution_norm": norm(0x00080080),
            "patient_main_tags": tags_to_json(pick(tags, main_tags[Level.PATIENT])),
        }
    else:
        expected = expected_instances(tags)
        metadata["3"] = origin.remote_aet
        if expected is not None:
            metadata["4"] = str(expected)
        row |= {
            "series_instance_uid": text(SERIES_INSTANCE_UID),
            "modality": text(0x00080060),
            "series_number": text(0x00200011),
            "description_norm": norm(0x0008103E),
            "body_part": text(0x00180015),
            "series_date": text(0x00080021),
            "station_norm": norm(0x00081010),
            "expected_instances": expected,
        }
    row["metadata"] = orjson.dumps(metadata).decode()
    return row


@dataclass(frozen=True, slots=True)
class TagsOfLevels:
    """Which tags the index remembers: of each level, and what ingest therefore looks for in a header."""

    main: dict[Level, tuple[int, ...]]
    instance: frozenset[int]  # for an instance whose series is known
    all: frozenset[int]  # for one whose parents are new as well

    @classmethod
    def with_extra(cls, extra: dict[Level, list[int]]) -> TagsOfLevels:
        """The main tags together with those that the configuration adds."""
        main = {level: tuple(dict.fromkeys((*MAIN_TAGS[level], *extra.get(level, ())))) for level in Level}
        instance = _ALWAYS.union(main[Level.INSTANCE])
        return cls(main, instance, instance.union(*main.values()))
