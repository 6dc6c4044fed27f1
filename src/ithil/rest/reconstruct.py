"""Reconstruction on request: of a resource, of the whole archive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ithil.archive import reconstruct
from ithil.dicom.level import Level
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.json_body import boolean, json_object
from ithil.http.request import Request
from ithil.http.routing import Route

Handler = Callable[[Request], Answer]


def routes() -> list[Route]:
    """The routes of this module."""
    table = [
        Route(
            "POST",
            "/tools/reconstruct",
            reconstruct_all,
            "Write the index anew from all stored files",
            writes=True,
        ),
        Route(
            "POST",
            "/tools/invalidate-tags",
            invalidate_tags,
            "Drop copies of tags that were kept beside the files; there are none",
            writes=True,
        ),
    ]
    table += [
        Route(
            "POST",
            f"/{level.plural}/{{id}}/reconstruct",
            reconstructor(level),
            f"Write anew what the index says of the {level.singular.lower()}, from its files",
            writes=True,
        )
        for level in Level
    ]
    return table


def reconstructor(level: Level) -> Handler:
    """`POST /{level}/{id}/reconstruct`; answers when it is done."""

    def handle(request: Request) -> Answer:
        options = _options(request)
        archive, closing = request.context.archive, request.context.closing
        reconstruct.reconstruct(archive, level, request.arguments["id"], **options, stopping=closing.is_set)
        return answers.empty()

    return handle


def reconstruct_all(request: Request) -> Answer:
    """`POST /tools/reconstruct`; answers when it is done."""
    options = _options(request)
    reconstruct.reconstruct_all(request.context.archive, **options, stopping=request.context.closing.is_set)
    return answers.empty()


def invalidate_tags(_request: Request) -> Answer:
    """`POST /tools/invalidate-tags`: Ithil keeps no copies of tags, so there is nothing to do."""
    return answers.empty()


def _options(request: Request) -> dict[str, Any]:
    """The fields of the body. Raises CodedError (bad request, bad type)."""
    fields = json_object(request, empty=True)
    return {
        "files": boolean(fields, "ReconstructFiles", False),
        "this_level_only": boolean(fields, "LimitToThisLevelMainDicomTags", False),
    }
