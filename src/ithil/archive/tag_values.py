"""The values of given tags for many resources at once, as far as the index knows them.

A tag is taken from the main tags of the resource or of those above it, or follows from what is stored: how many
resources are below, which modalities a study has. What is in no table is left to whoever may open files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ithil.archive.archive import Archive
from ithil.archive.index.find_columns import IN_STUDY, INSTANCE_AVAILABILITY
from ithil.archive.index.find_family import Member, families, in_studies
from ithil.archive.model import Resource
from ithil.dicom.level import Level
from ithil.dicom.main_tags import MAIN_SEQUENCES, MAIN_TAGS

_STUDIES, _SERIES, _INSTANCES = range(3)
_COUNTED: dict[int, tuple[Level, int]] = {
    0x00201200: (Level.PATIENT, _STUDIES),
    0x00201202: (Level.PATIENT, _SERIES),
    0x00201204: (Level.PATIENT, _INSTANCES),
    0x00201206: (Level.STUDY, _SERIES),
    0x00201208: (Level.STUDY, _INSTANCES),
    0x00201209: (Level.SERIES, _INSTANCES),
}

COMPUTED = frozenset({INSTANCE_AVAILABILITY, *IN_STUDY, *_COUNTED})
"""Tags that no file holds: they follow from what is stored (PS3.4 C.6.1.1, C.6.2.1)."""


def from_index(
    archive: Archive, level: Level, resources: Sequence[Resource], tags: Iterable[int]
) -> list[dict[int, str]]:
    """For each resource the texts of those of the tags that it has, in the order of the tags."""
    tags = tuple(dict.fromkeys(tags))
    own = archive.tags_of.main[level]
    of_patient = archive.tags_of.main[Level.PATIENT] if level == Level.STUDY else ()
    relatives: dict[str, list[Member]] = {}
    collected: dict[int, dict[int, list[str]]] = {}
    if any(tag not in own and tag not in of_patient and tag != INSTANCE_AVAILABILITY for tag in tags):
        with archive.index.read() as session:
            relatives = families(session, level, [one.id for one in resources])
            studies = _studies(relatives) if level >= Level.STUDY else []
            for tag, (column, _) in IN_STUDY.items():
                if tag in tags and studies:
                    collected[tag] = in_studies(session, column, studies)
    found = []
    for one in resources:
        texts: dict[int, str] = {}
        family = relatives.get(one.id, [])
        for tag in tags:
            if tag in COMPUTED:
                value = _computed(tag, family, collected.get(tag, {}))
            else:
                value = _main_tag(tag, one, family)
            if value is not None:
                texts[tag] = value
        found.append(texts)
    return found


def may_be_in_file(archive: Archive, level: Level, tag: int) -> bool:
    """Whether the files of a resource can have a tag that the index does not have for it.

    Main tags are indexed with the first instance, so a missing one is missing there; not so those that the
    configuration adds, perhaps after the resource had arrived, and sequences.
    """
    if tag in COMPUTED:
        return False
    return tag in MAIN_SEQUENCES or not any(tag in MAIN_TAGS[Level(above)] for above in range(level + 1))


def _studies(relatives: dict[str, list[Member]]) -> list[int]:
    return list({family[Level.STUDY].key for family in relatives.values()})


def _main_tag(tag: int, one: Resource, family: Sequence[Member]) -> str | None:
    value = one.main_tags.get(tag, one.patient_main_tags.get(tag))
    if value is not None:
        return value
    # A study has the tags of the patient as its own files have them, so it is not asked what the patient has.
    for member in reversed(family[Level.STUDY : one.level]):
        value = member.main_tags.get(tag)
        if value is not None:
            return value
    return None


def _computed(tag: int, family: Sequence[Member], collected: dict[int, list[str]]) -> str | None:
    if tag == INSTANCE_AVAILABILITY:
        return "ONLINE"
    if tag in IN_STUDY:
        found = collected.get(family[Level.STUDY].key) if len(family) > Level.STUDY else None
        return "\\".join(found) if found else None
    level, count = _COUNTED[tag]
    return str(family[level].counts[count]) if len(family) > level else None
