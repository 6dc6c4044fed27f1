"""The work of an edit that the pool of processes does: another transfer syntax, then the recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ithil import error_codes as codes
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.edit.apply import apply
from ithil.edit.recipe import Recipe
from ithil.error_codes import CodedError
from ithil.pixels.errors import PixelError

_UID = re.compile(rb"[0-9.]{3,64}")


@dataclass(frozen=True, slots=True)
class ToTranscode:
    """One instance for a process of the pool; see `apply` for `renamed` and `sop_uid`."""

    recipe: dict[str, Any]
    renamed: dict[str, str]
    content: bytes
    sop_uid: str
    transfer_syntax: str
    quality: int
    limits: ScanLimits


def edit_transcoded(item: ToTranscode) -> bytes | CodedError:
    """The edited and transcoded file, or why there is none."""
    # Loaded by the processes of the pool, and not by a server that never transcodes.
    from ithil.pixels.transcode import transcode

    try:
        content = transcode(item.content, item.transfer_syntax, quality=item.quality)
        recipe = Recipe.from_json(item.recipe)
        return apply(recipe, content, item.renamed, limits=item.limits, sop_uid=item.sop_uid)
    except (DicomError, PixelError) as error:
        return CodedError(codes.BAD_FILE_FORMAT, str(error))
    except CodedError as error:
        return error


def mentioned(content: bytes, renamed: Mapping[str, str]) -> dict[str, str]:
    """Those of many UIDs that stand somewhere in a file."""
    if not renamed:
        return {}
    found = {uid.decode("ascii") for uid in _UID.findall(content)}
    return {uid: renamed[uid] for uid in found if uid in renamed}
