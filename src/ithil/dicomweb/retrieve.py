"""Whole instances of a study, a series or one instance (PS3.18 10.4): in parts, alone, or as a ZIP file.

Each part says in which transfer syntax it is. What cannot be had in the wanted one: of a single instance that
is a refusal (406); among many, the instance comes as it is stored, since an answer that lacks it would look
whole. An instance whose file is gone makes the answer 206 with a `Warning` (PS3.18 10.4.3), which is known
before the first byte. What goes wrong later cuts the answer off.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from ithil import error_codes as codes
from ithil.archive import retrieval, retrieve, stored_frames, uids
from ithil.archive.archive import Archive
from ithil.archive.export.selection import select
from ithil.archive.export.stream import Export
from ithil.archive.export.stream import Wish as ZipWish
from ithil.archive.retrieval import Item, Overview
from ithil.archive.transcoding import stays_as_stored, transcoded
from ithil.archive.uids import Located
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import EXPLICIT_LITTLE, TRANSFER_SYNTAXES, transfer_syntax
from ithil.dicomweb import multipart
from ithil.dicomweb.frames import ACCEPT, LARGEST_AT_ONCE
from ithil.dicomweb.links import instance_link, service_root
from ithil.dicomweb.multipart import Part
from ithil.dicomweb.negotiation import (
    AS_STORED,
    DICOM,
    ZIP,
    Form,
    Wish,
    forms_of_instance,
    not_acceptable,
    wishes,
)
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer, FilePart, Stream
from ithil.http.request import Request
from ithil.http.routing import Route
from ithil.pixels.errors import PixelError
from ithil.pixels.syntaxes import ENCODABLE, LOSSY_METHODS, TARGETS, is_video

_OUT_BYTES = 1024 * 1024
"""Pieces of about this size go out, since each costs a change of threads."""

_DEFAULT_LOADERS = 4


def routes() -> list[Route]:
    """The routes of this module."""
    study = "/studies/{study}"
    series = f"{study}/series/{{series}}"
    return [
        Route(
            "GET",
            path,
            handler,
            f"{what}: DICOM files in parts, alone if there is one, or a ZIP file",
            (ACCEPT,),
            cacheable=True,
            answers=("multipart/related", DICOM, ZIP),
            fails=(406, 416),
            ranges=True,
        )
        for path, handler, what in (
            (study, get_many, "All instances of a study"),
            (series, get_many, "All instances of a series"),
            (f"{series}/instances/{{instance}}", get_instance, "An instance"),
        )
    ]


# -- one instance --------------------------------------------------------------------------------------------


def get_instance(request: Request) -> Answer:
    """`GET /studies/{study}/series/{series}/instances/{instance}`."""
    archive, names = request.context.archive, request.arguments
    found = uids.locate(archive, names["study"], names["series"], names["instance"])
    if found is None:
        raise CodedError(codes.INEXISTENT_ITEM, "There is no such instance")
    wanted = wishes(request)
    if _zip_comes_first(wanted):
        return _zip(request, [found.id], wanted, names["instance"])
    return _one(request, found, names["series"], names["instance"])


def _one(request: Request, found: Located, series: str, instance: str) -> Answer:
    archive, wanted = request.context.archive, wishes(request)
    link = instance_link(service_root(request), request.arguments["study"], series, instance)
    for form in forms_of_instance(wanted, found.transfer_syntax):
        digest = hashlib.md5(
            f"{found.file.uuid} {form} {link} {archive.settings.dicom_lossy_transcoding_quality}".encode(),
            usedforsecurity=False,
        ).hexdigest()
        tag = f'"{digest}"'
        known = answers.not_modified(request, tag)
        if known is not None:
            known.headers["Vary"] = "Accept"
            return known
        try:
            answer, section = _given(archive, found, form, link, digest)
        except (PixelError, DicomError):
            continue
        answer.headers |= {"ETag": tag, "Vary": "Accept"}
        return answers.part_of(request, answer, tag, section)
    if any(wish.media_type == ZIP for wish in wanted):
        return _zip(request, [found.id], wanted, instance)
    raise _refusal(_possible(archive, found))


def _given(
    archive: Archive, found: Located, form: Form, link: str, boundary: str
) -> tuple[Answer, multipart.Section | None]:
    """The answer with one instance. Raises PixelError, DicomError if it cannot be transcoded."""
    file = found.file
    if form.transfer_syntax != found.transfer_syntax:
        content = transcoded(archive, file, form.transfer_syntax)
        form = Form(form.multipart, form.media_type, retrieval.syntax_of(content))
    elif not form.multipart:
        part = FilePart(file, 0, file.uncompressed_size)
        return Answer(part, form.content_type, headers={"Content-Location": link}), None
    elif file.uncompressed_size > LARGEST_AT_ONCE:
        section = partial(retrieve.pieces, archive, file)
        parts = [Part(form.content_type, section(), file.uncompressed_size, link, section)]
        return multipart.related(parts, DICOM, boundary=boundary), multipart.section_of(parts, boundary)
    else:
        content = retrieve.read(archive, file)
    if not form.multipart:
        return Answer(content, form.content_type, headers={"Content-Location": link}), None
    head = multipart.head(Part(form.content_type, (), len(content), link), boundary)
    body = b"".join((head, content, b"\r\n", multipart.end(boundary)))
    return Answer(body, multipart.content_type(DICOM, boundary)), None


def _possible(archive: Archive, found: Located) -> list[str]:
    """The transfer syntaxes in which an instance can be had."""
    quality = archive.settings.dicom_lossy_transcoding_quality
    possible = {found.transfer_syntax}
    try:
        stored = stored_frames.stored_frames(archive, found)
        if stored_frames.can_be_coded(archive, stored, EXPLICIT_LITTLE, quality):
            possible |= TARGETS - ENCODABLE
        possible |= {one for one in ENCODABLE if stored_frames.can_be_coded(archive, stored, one, quality)}
    except PixelError:
        if not transfer_syntax(found.transfer_syntax).encapsulated:
            possible |= TARGETS - ENCODABLE  # no pixel data, so only the encoding of the elements matters
    return sorted(possible)


def _refusal(syntaxes: list[str]) -> CodedError:
    return not_acceptable([*(f"{DICOM}; transfer-syntax={each}" for each in (AS_STORED, *syntaxes)), ZIP])


# -- all of a study or a series ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Plan:
    """How the instances of one answer are given: in the transfer syntax of one wish."""

    request: Request
    wish: Wish
    root: str
    boundary: str = "0" * 32  # of this length
    matches: bool = False  # an instance is stored in the wanted transfer syntax

    def syntax_for(self, item: Item) -> str:
        stored, wanted = item.transfer_syntax, self.wish.transfer_syntax
        if wanted == AS_STORED or is_video(stored) or (not wanted and stays_as_stored(stored)):
            return stored
        return (wanted or EXPLICIT_LITTLE) if (wanted or EXPLICIT_LITTLE) in TARGETS else stored

    def part(self, item: Item, syntax: str, size: int) -> Part:
        link = instance_link(self.root, self.request.arguments["study"], item.series, item.instance)
        return Part(Form(True, DICOM, syntax).content_type, (), size, link)

    def measure(self, item: Item) -> int | None:
        """Bytes that an instance takes in the answer, as far as that is known without making it."""
        self.matches |= item.transfer_syntax == self.wish.transfer_syntax
        if self.syntax_for(item) != item.transfer_syntax:
            return None
        return multipart.part_length(
            self.part(item, item.transfer_syntax, item.file.uncompressed_size), self.boundary
        )


def get_many(request: Request) -> Answer:
    """`GET /studies/{study}` and `GET /studies/{study}/series/{series}`."""
    archive, names = request.context.archive, request.arguments
    study, series = names["study"], names.get("series", "")
    wanted = wishes(request)
    plan = _Plan(request, _wish_for_many(wanted), service_root(request))
    as_zip = plan.wish.media_type == ZIP or _zip_comes_first(wanted)
    found: Callable[[], Iterator[Item]] = partial(retrieval.items, archive, study, series)
    seen = retrieval.overview(archive, found(), plan.measure)
    if not seen.count and not seen.missing:
        raise CodedError(codes.INEXISTENT_ITEM, f"There is no such {'series' if series else 'study'}")
    if not seen.count:
        raise CodedError(codes.INEXISTENT_FILE, "The files of the instances are missing", status=500)
    if as_zip:
        return _partial(_zip(request, uids.public_ids(archive, study, series), wanted, series or study), seen)
    if not plan.wish.multipart and seen.count + len(seen.missing) == 1:
        only = next(found(), None)
        located = uids.locate(archive, study, only.series, only.instance) if only is not None else None
        if only is not None and located is not None:
            return _one(request, located, only.series, only.instance)
    syntax = plan.wish.transfer_syntax
    if syntax not in ("", AS_STORED) and syntax not in TARGETS and not plan.matches:
        raise _refusal(sorted(TARGETS))
    return _partial(_many(plan, found, seen), seen)


def _many(plan: _Plan, found: Callable[[], Iterator[Item]], seen: Overview) -> Answer:
    request, archive = plan.request, plan.request.context.archive
    quality = archive.settings.dicom_lossy_transcoding_quality
    digest = hashlib.md5(
        f"{seen.digest} {sorted(seen.missing)} {plan.wish.transfer_syntax} {plan.root} {quality}".encode(),
        usedforsecurity=False,
    ).hexdigest()
    tag = f'"{digest}"'
    known = answers.not_modified(request, tag)
    if known is not None:
        known.headers["Vary"] = "Accept"
        return known
    plan.boundary = digest
    length = None if seen.size is None else seen.size + len(multipart.end(digest))
    body = Stream(_pieces(plan, found(), seen), length)
    headers = {"ETag": tag, "Vary": "Accept"}
    return Answer(body, multipart.content_type(DICOM, digest), headers=headers)


def _pieces(plan: _Plan, found: Iterator[Item], seen: Overview) -> Iterator[bytes]:
    """The parts, small ones together. Raises what `retrieval.contents` raises, which cuts the answer off."""
    archive = plan.request.context.archive
    wanted = archive.settings.dicom_web.wado_rs_loader_threads_count or _DEFAULT_LOADERS
    loaders = max(1, min(wanted, os.cpu_count() or 1))
    waiting: list[bytes] = []
    size = 0
    with closing(retrieval.contents(archive, found, seen, plan.syntax_for, loaders)) as contents:
        for content in contents:
            part = plan.part(content.item, content.transfer_syntax, content.size)
            waiting.append(multipart.head(part, plan.boundary))
            for piece in content.pieces(archive):
                waiting.append(piece)
                size += len(piece)
                if size >= _OUT_BYTES:
                    yield b"".join(waiting)
                    waiting, size = [], 0
            waiting.append(b"\r\n")
    yield b"".join((*waiting, multipart.end(plan.boundary)))


def _partial(answer: Answer, seen: Overview) -> Answer:
    """206 for an answer that lacks instances."""
    if seen.missing and answer.status == 200:
        answer.status, answer.keep = 206, False
        missing, total = len(seen.missing), seen.count + len(seen.missing)
        answer.headers["Warning"] = f'299 ithil "{missing} of {total} instances cannot be read"'
    return answer


# -- what the client wants -----------------------------------------------------------------------------------


def _zip_comes_first(wanted: tuple[Wish, ...]) -> bool:
    """Whether a ZIP file is wished before DICOM. Raises CodedError (406) if neither is wished at all."""
    for wish in wanted:
        if wish.media_type == ZIP and not wish.multipart:
            return True
        if wish.takes(DICOM):
            return False
    raise _refusal(sorted(TARGETS))


def _wish_for_many(wanted: tuple[Wish, ...]) -> Wish:
    """The wish that decides: of the best quality, one that leaves files as they are stored before the others."""
    fitting = [wish for wish in wanted if wish.takes(DICOM) and _is_known(wish.transfer_syntax)]
    if not fitting:
        named = [wish for wish in wanted if wish.media_type == ZIP]
        if not named:
            raise _refusal(sorted(TARGETS))
        return named[0]
    best = [wish for wish in fitting if wish.quality == fitting[0].quality]
    return min(best, key=lambda wish: _cost(wish.transfer_syntax))


def _is_known(syntax: str) -> bool:
    return syntax in ("", AS_STORED) or syntax in TRANSFER_SYNTAXES


def _cost(syntax: str) -> int:
    if syntax == AS_STORED:
        return 0
    return 2 if syntax in LOSSY_METHODS else 1


# -- ZIP files -----------------------------------------------------------------------------------------------


def _zip(request: Request, public_ids: list[str], wanted: tuple[Wish, ...], name: str) -> Answer:
    """The same folders and names as in `/studies/{id}/archive`; files as stored where no syntax is named."""
    archive = request.context.archive
    syntax = next(wish.transfer_syntax for wish in wanted if wish.media_type == ZIP)
    if syntax not in ("", AS_STORED) and syntax not in TARGETS:
        raise _refusal(sorted(TARGETS))
    chosen = ZipWish(transcode=syntax if syntax in TARGETS else None, utf8=archive.settings.zip_use_utf8)
    export = Export(archive, select(archive, public_ids), chosen)
    headers = {"Vary": "Accept", **answers.disposition(f"{name}.zip")}
    return Answer(Stream(export.pieces()), ZIP, headers=headers)
