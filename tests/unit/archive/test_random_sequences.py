"""Whatever is stored and deleted in whatever order, the counters say what a recount says."""

from __future__ import annotations

import random

import pytest
from tests.data import synthetic
from tests.unit.archive.places import Place, put
from tests.unit.archive.recount import assert_counters_are_right, assert_sound

from ithil.archive import resources
from ithil.archive.delete import delete
from ithil.dicom.level import Level


@pytest.mark.parametrize("overwrite", ["Never", "Always", "IfChanged"])
@pytest.mark.parametrize("compressed", [False, True])
def test_stores_and_deletes_in_any_order(place: Place, overwrite: str, compressed: bool) -> None:
    seed = f"{overwrite} {compressed}"
    choose = random.Random(seed)
    archive = place.open(overwrite_instances=overwrite, storage_compression=compressed)
    for step in range(70):
        if choose.random() < 0.7:
            study = choose.randrange(3)
            content = synthetic.instance(
                study,
                choose.randrange(2),
                choose.randrange(3),
                size=choose.choice((4, 8)),
                patient=study // 2,
            ).content
            put(archive, content)
        else:
            level = choose.choice(list(Level))
            known = resources.list_ids(archive, level)
            if known:
                assert delete(archive, level, choose.choice(known)) is not None
        if step % 5 == 0:
            assert_counters_are_right(archive)
    assert_sound(archive)
