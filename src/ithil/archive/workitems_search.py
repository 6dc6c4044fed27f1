"""Searching for workitems (PS3.18 11.9): what the keys take, page by page and encoded as it is found.

Neither a search nor its answer is ever in memory as a whole: a page is bounded in bytes, what it has is
reduced and encoded at once, and an answer that becomes too large ends and says that there is more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from ithil.archive.archive import Archive
from ithil.archive.index import workitems as rows
from ithil.archive.workitems_match import Key, matches, narrowed
from ithil.archive.workitems_model import Attributes
from ithil.archive.workitems_rules import PATIENT_ID, STATE, STUDY
from ithil.dicom.main_tags import normalise

MOST_LOOKED_AT = 50_000
"""Workitems that one search goes through; it says when there were more."""

MOST_BYTES = 512 * 1024 * 1024
"""Bytes of the workitems that one search goes through."""

LARGEST_ANSWER = 16 * 1024 * 1024
"""Bytes of the workitems that one search gives."""

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, encoded; `more` says that there are others after it, `cut` that it did not see all."""

    workitems: list[bytes]
    more: bool
    cut: bool


def search(
    archive: Archive,
    keys: Sequence[Key],
    offset: int,
    limit: int,
    encode: Callable[[Attributes], bytes] = orjson.dumps,
) -> Found:
    """Workitems that all keys take, by their scheduled start and UID. `encode` makes of each what is given."""
    filters = {
        "state": narrowed(keys, STATE).upper(),
        "patient_id_norm": normalise(narrowed(keys, PATIENT_ID)),
        "study_instance_uid": narrowed(keys, STUDY),
    }
    filters = {name: value for name, value in filters.items() if value}
    found: list[bytes] = []
    room = LARGEST_ANSWER
    after = ("", "")
    seen, seen_bytes = 0, 0
    while seen < MOST_LOOKED_AT and seen_bytes < MOST_BYTES:
        with archive.index.read() as session:
            page = rows.page(session, filters, after, _BATCH)
        if not page:
            return Found(found, False, False)
        for row in page:
            seen_bytes += len(row.content)
            content: Attributes = orjson.loads(row.content)
            if not matches(keys, content):
                continue
            if offset:
                offset -= 1
                continue
            if len(found) == limit:
                return Found(found, True, False)
            encoded = encode(content)
            room -= len(encoded)
            if found and room < 0:
                return Found(found, True, False)
            found.append(encoded)
        seen += len(page)
        after = (page[-1].start, page[-1].uid)
    return Found(found, True, True)
