"""How much a run sends: the full measure, and the quick one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks import datasets
from benchmarks.datasets import Shape
from benchmarks.template import Template
from benchmarks.workloads import Sets, batches_needed


@dataclass(frozen=True, slots=True)
class Sizes:
    """The shapes of the sets, and the times and numbers of the runs."""

    small: Shape
    large: Shape
    studies: Shape
    small_few: Shape
    large_few: Shape
    batch: Shape
    levels: tuple[int, ...]
    searched: tuple[int, ...]  # numbers of studies in the archives that are searched
    metadata_series: tuple[int, int, int]  # how many of 50, 600 and 2,000 instances
    rounds: int
    get_seconds: int
    load_seconds: float
    budget_seconds: float  # no further round starts if it would end later than this


USUAL = Sizes(
    small=Shape(studies=5, series=2, instances=50),  # 2,000
    large=Shape(studies=1, series=3, instances=25),  # 300
    studies=Shape(studies=750, series=1, instances=1),  # 3,000
    small_few=Shape(studies=1, series=1, instances=20),  # 80
    large_few=Shape(studies=1, series=1, instances=12),  # 48
    batch=Shape(studies=1, series=1, instances=250),  # 1,000
    levels=(10_000,),
    searched=(3_000,),
    metadata_series=(12, 3, 2),
    rounds=3,
    get_seconds=5,
    load_seconds=60,
    budget_seconds=690,
)

QUICK = Sizes(
    small=Shape(studies=1, series=2, instances=25),  # 200
    large=Shape(studies=1, series=1, instances=8),  # 32
    studies=Shape(studies=50, series=1, instances=1),  # 200
    small_few=Shape(studies=1, series=1, instances=8),  # 32
    large_few=Shape(studies=1, series=1, instances=4),  # 16
    batch=Shape(studies=1, series=1, instances=25),  # 100
    levels=(600,),
    searched=(300,),
    metadata_series=(4, 1, 1),
    rounds=1,
    get_seconds=1,
    load_seconds=10,
    budget_seconds=110,
)


def write_sets(folder: Path, sizes: Sizes, levels: list[int]) -> Sets:
    """Write all the sets of a run below ``folder``."""
    small = Template(*datasets.SMALL_PIXELS)
    large = Template(*datasets.LARGE_PIXELS)
    return Sets(
        small=datasets.write(folder / "small", 1, sizes.small, small),
        large=datasets.write(folder / "large", 2, sizes.large, large),
        studies=datasets.write(folder / "studies", 3, sizes.studies, small),
        small_few=datasets.write(folder / "small-few", 4, sizes.small_few, small),
        large_few=datasets.write(folder / "large-few", 5, sizes.large_few, large),
        batches=[
            datasets.write(folder / f"batch-{number}", 10 + number, sizes.batch, small)
            for number in range(batches_needed(levels))
        ],
    )
