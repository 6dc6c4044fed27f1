"""QIDO-RS, the search transaction of the studies service (PS3.18 10.6).

A short answer is one piece and can be kept; a longer one, or one for which many files are opened, is made while
it is sent, batch by batch, so that no search makes the server hold what it finds. Its start is made before the
status is sent, so that what goes wrong is an error answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from time import monotonic

from ithil import error_codes as codes
from ithil.archive import find
from ithil.archive.query import BadQuery
from ithil.dicom.json_model import Json
from ithil.dicom.level import Level
from ithil.dicom.xml_from_json import object_to_xml
from ithil.dicomweb import qido_csv, qido_looking, qido_query
from ithil.dicomweb.links import service_root
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.qido_answer import Answers
from ithil.dicomweb.qido_attributes import everything, shown
from ithil.dicomweb.qido_query import Search
from ithil.error_codes import CodedError
from ithil.http.accept import accepted, unwrapped
from ithil.http.answers import Answer, Stream
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route, Runs

AT_ONCE = 1 << 20
"""Bytes of an answer that are made before it begins to be sent."""

SOON = 2.0
"""Seconds after which an answer begins to be sent; from then on it is noticed if the client leaves."""

JSON, XML, CSV = "application/dicom+json", "application/dicom+xml", "text/csv"

_MORE = (
    "The number of results exceeded the maximum supported by the server. Additional results can be requested."
)
_UNFINISHED = (
    "The search took too long, so not all files were searched. Match something that the index has as well."
)
_PARAMETERS = (
    Parameter("{attribute}", "Keyword, eight digits or a path of them with dots; the value is what to match"),
    Parameter("includefield", "Attributes to show as well, separated by commas, or `all`"),
    Parameter("fuzzymatching", "`true`: names that are nearly alike match as well"),
    Parameter("limit", "Most results"),
    Parameter("offset", "How many results to pass over"),
)
_PLACES = (
    ("/studies", Level.STUDY, "Search for studies"),
    ("/series", Level.SERIES, "Search for series"),
    ("/instances", Level.INSTANCE, "Search for instances"),
    ("/studies/{study}/series", Level.SERIES, "Search for series of a study"),
    ("/studies/{study}/instances", Level.INSTANCE, "Search for instances of a study"),
    ("/studies/{study}/series/{series}/instances", Level.INSTANCE, "Search for instances of a series"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "GET",
            path,
            partial(search, level),
            summary,
            _PARAMETERS,
            cacheable=True,
            runs=Runs.IN_TURN,
            answers=(JSON, f'multipart/related; type="{XML}"', CSV),
            fails=(400, 413, 503),
        )
        for path, level, summary in _PLACES
    ]


def search(level: Level, request: Request) -> Answer:
    """`GET /studies` and its like: the resources that match."""
    asked = qido_query.read(request, level)
    form, known = _form(request)
    if not known:
        asked.warnings.append("No media type of the Accept header is supported")
    try:
        results = _Results(request, asked)
        answer = _begun(_FORMS[form](results))
    except BadQuery as error:
        raise CodedError(codes.BAD_REQUEST, str(error)) from None
    answer.keep = results.sound
    if asked.warnings:
        agent = service_root(request)
        # PS3.18 8.4.3 has the service where HTTP has an agent, with a colon behind it.
        answer.headers["Warning"] = ", ".join(f'299 {agent}: "{text}"' for text in asked.warnings)
    return answer


def _form(request: Request) -> tuple[str, bool]:
    """The media type of the answer, and whether the client takes it.

    Viewers send all kinds of types to all kinds of resources, so who asks for none of ours gets JSON.
    """
    if request.headers.get("accept") == JSON and "accept" not in request.query:
        return JSON, True  # what nearly all ask for
    for one in accepted(request):
        in_parts, wanted = unwrapped(one)
        if in_parts:
            if wanted.takes(XML):
                return XML, True
            continue
        for form in (JSON, XML, CSV):
            if one.takes(form):
                return form, True
        if one.takes("application/json"):
            return JSON, True
    return JSON, False


class _Results:
    """What a search finds. It can be drawn once."""

    def __init__(self, request: Request, asked: Search) -> None:
        archive = request.context.archive
        level = asked.query.level
        self.level = level
        included = asked.included
        if asked.everything:
            included |= everything(level)
        self.shown = shown(level, asked.within, included)
        self._answers = Answers(
            archive,
            level,
            self.shown,
            service_root(request),
            whole_files=asked.everything and level == Level.INSTANCE,
            open_files=archive.settings.storage_access_on_find != "Never",
        )
        query = replace(asked.query, since=asked.offset, limit=asked.limit)
        most = find.limited(archive, query).limit
        if most != asked.limit:  # one more, to know whether there is more
            query = replace(query, limit=most + 1)
        self._keys = find.keys(archive, query, request.context.closing, qido_looking.LONGEST)
        batches: Iterable[list[int]] = self._keys
        self._finished = True
        if self._keys.opens_files:
            batches, self._finished = qido_looking.looked(self._keys, archive.settings.http_threads_count)
            if not self._finished:
                asked.warnings.append(_UNFINISHED)
        if most != asked.limit:
            batches = _at_most(most, batches, asked)
        self._batches = batches

    @property
    def objects(self) -> Iterator[list[Json]]:
        """The results, batch by batch."""
        return self._answers.objects(self._batches)

    @property
    def json(self) -> Iterator[bytes]:
        """The same as JSON, with commas between them."""
        return self._answers.json(self._batches)

    @property
    def sound(self) -> bool:
        """Whether nothing is missing so far that another search at this moment could have found."""
        return self._finished and not self._keys.unread and not self._answers.unread


def _at_most(most: int, batches: Iterable[list[int]], asked: Search) -> Iterator[list[int]]:
    """The first of the internal ids, and a warning if there are more: it goes before the first result."""
    keys = list(chain.from_iterable(batches))
    if len(keys) > most:
        asked.warnings.append(_MORE)
    return (
        keys[start : min(start + find.BATCH, most)]
        for start in range(0, most, find.BATCH)
        if start < len(keys)
    )


# -- forms ---------------------------------------------------------------------------------------------------


def _begun(answer: Answer) -> Answer:
    """The answer with its start made: all of it if it is short, else a stream of the rest behind the start."""
    body = answer.body
    assert isinstance(body, Stream)
    start: list[bytes] = []
    size, end = 0, monotonic() + SOON
    for piece in body.pieces:
        start.append(piece)
        size += len(piece)
        if size >= AT_ONCE or monotonic() >= end:
            answer.body = Stream(_rest(b"".join(start), body.pieces))
            return answer
    answer.body = b"".join(start)
    return answer


def _rest(start: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from pieces


def _json(results: _Results) -> Answer:
    return Answer(Stream(_json_pieces(results)), JSON)


def _json_pieces(results: _Results) -> Iterator[bytes]:
    before = b"["
    for batch in results.json:
        yield before + batch
        before = b","
    yield b"]" if before == b"," else b"[]"


def _xml(results: _Results) -> Answer:
    return related(map(_xml_part, chain.from_iterable(results.objects)), XML)


def _xml_part(one: Json) -> Part:
    content = object_to_xml(one)
    return Part(XML, [content], len(content))


def _csv(results: _Results) -> Answer:
    pieces = qido_csv.lines(sorted(results.shown.all), results.objects)
    return Answer(Stream(pieces), f"{CSV}; charset=utf-8")


_FORMS: dict[str, Callable[[_Results], Answer]] = {JSON: _json, XML: _xml, CSV: _csv}
