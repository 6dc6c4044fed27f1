"""The instances of a series in the order in which their slices are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from ithil.archive import resources
from ithil.archive.archive import Archive
from ithil.dicom.level import Level
from ithil.dicom.slices import Slice, in_sequence, in_volume

_POSITION, _ORIENTATION = 0x00200032, 0x00200037


def ordered_instances(archive: Archive, instance_ids: Sequence[str]) -> list[str]:
    """Public ids of the instances of one series in order; unknown ones are left out.

    Slices that make a volume are ordered along its normal, others by their numbers; where a number is missing,
    the order of `instance_ids` stays.
    """
    slices = [
        Slice(
            instance.id,
            instance.main_tags.get(_POSITION, ""),
            instance.main_tags.get(_ORIENTATION, ""),
            instance.index_in_series,
        )
        for instance in resources.read_many(archive, Level.INSTANCE, instance_ids)
    ]
    return [one.id for one in in_volume(slices) or in_sequence(slices) or slices]
