"""Which attributes an answer of QIDO-RS shows of a study, a series and an instance (PS3.18 10.6.3.3).

The lists are those of the tables 10.6.3-3 to 10.6.3-5. Where the standard wants an attribute whether or not it
has a value, it is shown empty; the others are only shown where they are known. StudyInstanceUID is shown at every
level and SeriesInstanceUID below the study, whatever the path says: viewers count on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ithil.archive.find_attributes import COLLECTED
from ithil.dicom import modules
from ithil.dicom.dictionary import tag_vr, when_changed
from ithil.dicom.level import Level
from ithil.dicom.main_tags import MAIN_SEQUENCES, MAIN_TAGS, SOP_CLASS_UID

CHARACTER_SET = 0x00080005
AVAILABILITY = 0x00080056
RETRIEVE_URL = 0x00081190
MODALITIES_IN_STUDY = 0x00080061
STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018

EVERYWHERE = frozenset({CHARACTER_SET, AVAILABILITY, RETRIEVE_URL})
"""Attributes that follow from the answer itself."""

_ALWAYS: dict[Level, tuple[int, ...]] = {
    Level.STUDY: (
        *(0x00080020, 0x00080030, 0x00080050, MODALITIES_IN_STUDY, 0x00080090),
        *(0x00100010, 0x00100020, 0x00100030, 0x00100040),
        *(STUDY_UID, 0x00200010, 0x00201206, 0x00201208),
    ),
    Level.SERIES: (0x00080060, SERIES_UID, 0x00200011, 0x00201209),
    Level.INSTANCE: (0x00080016, SOP_UID, 0x00200013),
}
_IF_KNOWN: dict[Level, tuple[int, ...]] = {
    Level.STUDY: (0x00080201, 0x00081030),
    Level.SERIES: (0x00080021, 0x00080031, 0x00080201, 0x0008103E, 0x00180015, 0x00400244, 0x00400245),
    Level.INSTANCE: (0x00080201, 0x00083002, 0x00280008),
}
IN_FILES: dict[Level, tuple[int, ...]] = {
    Level.STUDY: (),
    Level.SERIES: (),
    Level.INSTANCE: (0x00280010, 0x00280011, 0x00280100),
}
"""Those that only the files have: of an image its rows, columns and bits allocated."""

_IDENTIFIERS = {
    Level.STUDY: (STUDY_UID,),
    Level.SERIES: (STUDY_UID, SERIES_UID),
    Level.INSTANCE: (STUDY_UID, SERIES_UID, SOP_UID),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """The attributes of an answer.

    Attributes:
        always: shown empty where there is no value.
        if_known: shown where there is one.
        collected: those of them that the index has to collect (`find_attributes.COLLECTED`).
        in_files: those of them that may have to be looked for in files.
        of_one_series: some of them are a series', of which a study shows one.
    """

    always: frozenset[int]
    if_known: frozenset[int]
    collected: frozenset[int]
    in_files: frozenset[int]
    of_one_series: bool

    @property
    def all(self) -> frozenset[int]:
        """All of them."""
        return self.always | self.if_known


@lru_cache(maxsize=512)
def shown(level: Level, within: Level, included: frozenset[int]) -> Shown:
    """The attributes of answers at `level` to a request whose path names a resource at the level `within`.

    Of the levels that the path names only the identifiers are shown, of the others their attributes too
    (relational queries); PATIENT stands for a path that names nothing. `included` are those that the request
    names.
    """
    levels = [each for each in (Level.STUDY, Level.SERIES, Level.INSTANCE) if within < each <= level]
    always = {*EVERYWHERE, *_IDENTIFIERS[level]}.union(*(_ALWAYS[each] for each in levels))
    if_known = {*IN_FILES[level], *included}.union(*(_IF_KNOWN[each] for each in levels)) - always
    tags = always | if_known
    of_series = {tag for tag in included if level == Level.STUDY and _is_indexed(tag, Level.SERIES)}
    in_files = {tag for tag in tags - of_series if not _is_indexed(tag, level)}
    return Shown(
        frozenset(always),
        frozenset(if_known),
        COLLECTED & tags,
        frozenset(in_files),
        any(tag in MAIN_TAGS[Level.SERIES] and not _is_indexed(tag, Level.STUDY) for tag in of_series),
    )


when_changed(shown.cache_clear)


def _is_indexed(tag: int, level: Level) -> bool:
    """Whether the index knows the attribute of all resources of the level, so that files need not be asked.

    Not so what the configuration adds, perhaps after the resource had arrived, sequences, and texts that may be
    too long for the index.
    """
    if tag in COLLECTED or tag in EVERYWHERE or tag in _COMPUTED:
        return True
    if tag == SOP_CLASS_UID:
        return level == Level.INSTANCE
    if tag in MAIN_SEQUENCES or tag_vr(tag) in _LONG_TEXTS:
        return False
    return any(tag in MAIN_TAGS[each] for each in list(Level)[: level + 1])


_LONG_TEXTS = frozenset({"LT", "ST", "UC", "UR", "UT"})
_COMPUTED = frozenset({0x00083002, 0x00201206, 0x00201208, 0x00201209})


def everything(level: Level) -> frozenset[int]:
    """What `includefield=all` stands for: the attributes of the level and those above it.

    At the level of instances it is whatever the file has, which is for the caller to see to.
    """
    levels = list(Level)[: level + 1]
    tags = set[int]().union(
        *(modules.OF_LEVEL[each] for each in levels), *(MAIN_TAGS[each] for each in levels)
    )
    if level < Level.INSTANCE:
        tags -= modules.INSTANCE - {0x00080201}
    return frozenset(tags - EVERYWHERE)
