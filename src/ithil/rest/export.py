"""`/instances/{id}/export`: write an instance to a file of the server's host.

Whoever may ask for this may overwrite any file that the server may write, so it is switched off by default.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from ithil import error_codes as codes
from ithil.archive import retrieve
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import TEXT, Answer
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.rest.header import dicom_file, find_instance

_LONGEST_PATH = 4096  # bytes


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            "/instances/{id}/export",
            post_export,
            "Write the DICOM file to a path of the server, if RestApiWriteToFileSystemEnabled",
            body=TEXT,
        )
    ]


def post_export(request: Request) -> Answer:
    """`POST /instances/{id}/export`: 403 without a body unless the option allows it."""
    if not request.context.settings.rest_api_write_to_file_system_enabled:
        return Answer(status=403)
    archive = request.context.archive
    file = dicom_file(find_instance(archive, request.arguments["id"]))
    target = _path(request.body)
    # Under another name first, so that a failure leaves neither half a file nor the old one destroyed.
    unfinished = target.with_name(f".{uuid.uuid4()}.part")
    try:
        with open(unfinished, "xb") as written:
            for piece in retrieve.pieces(archive, file):
                written.write(piece)
        os.replace(unfinished, target)
    except OSError as error:
        raise CodedError(codes.CANNOT_WRITE_FILE) from error
    finally:
        with suppress(OSError):  # it is there only if something failed on the way
            unfinished.unlink()
    return answers.done()


def _path(body: bytes) -> Path:
    """Raises CodedError (cannot write) for what is no path of a file."""
    if not body or len(body) > _LONGEST_PATH or b"\0" in body:
        raise CodedError(codes.CANNOT_WRITE_FILE)
    path = Path(os.fsdecode(body))
    if path.is_dir():
        raise CodedError(codes.CANNOT_WRITE_FILE)
    return path
