"""Whether an edit would leave a patient or a study with instances that say different things of it.

A resource above the edited ones may have other children. What the edited instances say of it in the end must
then be what the index knows of it, or searches would find it by the one name and show it with the other.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.archive.model import Resource
from ithil.dicom.identifiers import patient_id, study_id
from ithil.dicom.level import Level
from ithil.dicom.main_tags import PATIENT_ID, STUDY_INSTANCE_UID
from ithil.dicom.modules import PATIENT, STUDY
from ithil.edit.recipe import Recipe
from ithil.edit.tag_path import TagPath
from ithil.error_codes import CodedError

_SHOWN_OF_PATIENT = frozenset({0x00100010, 0x00100030, 0x00100040, 0x00101000})
_SHOWN_OF_STUDY = frozenset({0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00081030, 0x00200010})


def check_parents(archive: Archive, recipe: Recipe, level: Level, public_id: str) -> None:
    """Refuse (CodedError: bad request) to modify a study or series in contradiction to its new parents."""
    if not archive.settings.patient_level_enabled:
        return
    source = resources.read(archive, level, public_id)
    if source is None or level not in (Level.STUDY, Level.SERIES):
        return
    study = source if level is Level.STUDY else resources.read(archive, Level.STUDY, source.parent or "")
    if study is None:
        return
    if level is Level.STUDY and recipe.touches(PATIENT):
        _check_patient(archive, recipe, study)
    elif level is Level.SERIES and (recipe.replaces(STUDY_INSTANCE_UID) or recipe.replaces(PATIENT_ID)):
        _check_patient(archive, recipe, study)
        _check_study(archive, recipe, study)


def _check_patient(archive: Archive, recipe: Recipe, study: Resource) -> None:
    old = study.patient_main_tags.get(PATIENT_ID, "")
    target = resources.read(archive, Level.PATIENT, patient_id(_new(recipe, PATIENT_ID, old)))
    if target is None or target.children == [study.id]:
        return
    _compare(recipe, study.patient_main_tags, target.main_tags, _SHOWN_OF_PATIENT, "patient")


def _check_study(archive: Archive, recipe: Recipe, study: Resource) -> None:
    patient = _new(recipe, PATIENT_ID, study.patient_main_tags.get(PATIENT_ID, ""))
    uid = _new(recipe, STUDY_INSTANCE_UID, study.main_tags.get(STUDY_INSTANCE_UID, ""))
    target = resources.read(archive, Level.STUDY, study_id(patient, uid))
    if target is not None and target.id != study.id:
        _compare(recipe, study.main_tags, target.main_tags, _SHOWN_OF_STUDY & STUDY, "study")


def _compare(
    recipe: Recipe, said: dict[int, str], known: dict[int, str], tags: frozenset[int], noun: str
) -> None:
    if any(_new(recipe, tag, said.get(tag, "")) != known.get(tag, "") for tag in tags):
        raise CodedError(
            codes.BAD_REQUEST,
            f"There is a {noun} with that identifier, which has other children: the tags of the {noun} must be "
            f"replaced by those that it has, or the {noun} itself be modified",
        )


def _new(recipe: Recipe, tag: int, old: str) -> str:
    """What a main tag says after the edit."""
    path = TagPath(tag)
    if path in recipe.replace:
        value = recipe.replace[path]
        return value if isinstance(value, str) else ""
    return "" if path in recipe.remove else old
