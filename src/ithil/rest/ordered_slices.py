"""`/series/{id}/ordered-slices`: the frames of a series in the order in which they are looked at."""

from __future__ import annotations

from ithil.archive import resources
from ithil.archive.model import Resource
from ithil.dicom import slices
from ithil.dicom.level import Level
from ithil.dicom.slices import Slice
from ithil.error_codes import CANNOT_ORDER_SLICES, UNKNOWN_RESOURCE, CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route

_POSITION, _ORIENTATION, _FRAMES = 0x00200032, 0x00200037, 0x00280008
MOST_FRAMES = 1_000_000
"""More are not listed: a header can claim any number of them."""


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            "/series/{id}/ordered-slices",
            get_ordered_slices,
            "The frames of the series in their order in space, else by their numbers",
            cacheable=True,
        )
    ]


def get_ordered_slices(request: Request) -> Answer:
    """`GET /series/{id}/ordered-slices`."""
    archive = request.context.archive
    ids = resources.descendants(archive, Level.SERIES, request.arguments["id"], Level.INSTANCE)
    if ids is None:
        raise CodedError(UNKNOWN_RESOURCE)
    found = {instance.id: instance for instance in resources.read_many(archive, Level.INSTANCE, ids)}
    unordered = [_slice(instance) for instance in found.values()]
    ordered, kind = slices.in_volume(unordered), "Volume"
    if ordered is None:
        ordered, kind = slices.in_sequence(unordered), "Sequence"
    frames = {one.id: _frames(found[one.id]) for one in unordered}
    if ordered is None or sum(frames.values()) > MOST_FRAMES:
        raise CodedError(CANNOT_ORDER_SLICES)
    return answers.json(
        request,
        {
            "Dicom": [f"/instances/{one.id}/file" for one in ordered],
            "Slices": [
                f"/instances/{one.id}/frames/{frame}" for one in ordered for frame in range(frames[one.id])
            ],
            "SlicesShort": [[one.id, 0, frames[one.id]] for one in ordered],
            "Type": kind,
        },
    )


def _slice(instance: Resource) -> Slice:
    tags = instance.main_tags
    return Slice(instance.id, tags.get(_POSITION, ""), tags.get(_ORIENTATION, ""), instance.index_in_series)


def _frames(instance: Resource) -> int:
    text = instance.main_tags.get(_FRAMES, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 1
