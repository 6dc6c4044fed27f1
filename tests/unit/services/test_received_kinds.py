"""What a C-GET of ours proposes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ithil.archive.archive import Archive
from ithil.dicom.uids import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.services.received_kinds import MOST_CLASSES, received_contexts
from ithil.settings import Settings

CT, MR, PDF = (f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "4", "104.1"))


def proposed(folder: Path, **options: Any) -> dict[str, tuple[str, ...]]:
    archive = Archive.open(Settings(storage_directory=folder, **options))
    try:
        return dict(received_contexts(archive))
    finally:
        archive.close()


def test_the_usual_classes_fit_beside_the_query(tmp_path: Path) -> None:
    found = proposed(tmp_path)
    assert len(found) == MOST_CLASSES
    assert list(found)[:2] == [CT, MR]
    assert PDF in found
    assert all(syntaxes[0] == EXPLICIT_LITTLE for syntaxes in found.values())


def test_the_configuration_names_others(tmp_path: Path) -> None:
    assert set(proposed(tmp_path, accepted_sop_classes=[CT, "1.2.3.4"])) == {CT, "1.2.3.4"}
    assert CT not in proposed(tmp_path, rejected_sop_classes=[CT])


def test_only_accepted_transfer_syntaxes_are_proposed(tmp_path: Path) -> None:
    found = proposed(tmp_path, accepted_transfer_syntaxes=[IMPLICIT_LITTLE])
    assert found[CT] == (IMPLICIT_LITTLE,)


@pytest.mark.parametrize("group", ["jpeg_transfer_syntax_accepted", "rle_transfer_syntax_accepted"])
def test_switched_off_groups_are_not_proposed(tmp_path: Path, group: str) -> None:
    assert len(proposed(tmp_path, **{group: False})[CT]) < len(proposed(tmp_path)[CT])
