"""The sets of instances a run sends, written once to the disk that the servers use.

A set is a folder of four parts. One association sends the whole folder; four associations send a part each,
which is what four scanners do. The patient and the study change with the part, so the four never share a
study: contention on one study is tried by the REST uploads instead, which deal a set's files round robin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.template import Address, Template

PARTS = 4

SMALL_PIXELS = (62, 62)  # with its header a file of about 10 KB
LARGE_PIXELS = (512, 512)  # 525 KB
BULK_KIND = 90
BULK_STUDY = 100  # instances in one study of the bulk


@dataclass(frozen=True, slots=True)
class Shape:
    """How many of what: ``PARTS`` x studies x series x instances."""

    studies: int
    series: int
    instances: int

    @property
    def count(self) -> int:
        return PARTS * self.studies * self.series * self.instances


@dataclass(frozen=True, slots=True)
class InstanceSet:
    """Instances on disk: ``folder/0`` to ``folder/3``."""

    folder: Path
    addresses: tuple[Address, ...]

    @property
    def count(self) -> int:
        return len(self.addresses)

    @property
    def parts(self) -> list[Path]:
        return [self.folder / str(part) for part in range(PARTS)]

    def study_ids(self) -> list[str]:
        """The public identifiers of the studies, in the order of the set."""
        return list(dict.fromkeys(address.study_id for address in self.addresses))

    def instance_ids(self, count: int) -> list[str]:
        """The public identifiers of ``count`` instances spread evenly over the set."""
        step = max(1, self.count // count)
        return [address.instance_id for address in self.addresses[::step][:count]]


def write(folder: Path, kind: int, shape: Shape, template: Template) -> InstanceSet:
    """Write a set of ``shape`` below ``folder``; ``kind`` keeps its identifiers apart from other sets."""
    addresses = []
    for part in range(PARTS):
        place = folder / str(part)
        place.mkdir(parents=True)
        for study in range(part * shape.studies, (part + 1) * shape.studies):
            for series in range(shape.series):
                for instance in range(shape.instances):
                    address = Address(kind, study, series, instance)
                    name = f"{study:05d}-{series:02d}-{instance:05d}.dcm"
                    (place / name).write_bytes(template.render(address))
                    addresses.append(address)
    return InstanceSet(folder, tuple(addresses))


def bulk_address(number: int) -> Address:
    """The address of instance ``number`` of the bulk that fills an archive: studies of two series."""
    study, rest = divmod(number, BULK_STUDY)
    series, instance = divmod(rest, BULK_STUDY // 2)
    return Address(BULK_KIND, study, series, instance)
