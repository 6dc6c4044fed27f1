"""QIDO-RS, the search transaction of the studies service (PS3.18 10.6).

An answer of up to one batch is one piece and can be kept; a longer one is made while it is sent, batch by batch,
so that no search makes the server hold what it finds. The matches that fit into one batch are read before the
status is sent, so that what goes wrong is an error answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice

import orjson

from ithil import error_codes as codes
from ithil.archive import find
from ithil.archive.query import BadQuery
from ithil.dicom.json_model import Json
from ithil.dicom.level import Level
from ithil.dicom.xml_from_json import object_to_xml
from ithil.dicomweb import qido_csv, qido_query
from ithil.dicomweb.links import service_root
from ithil.dicomweb.multipart import Part, related
from ithil.dicomweb.qido_answer import Answers
from ithil.dicomweb.qido_attributes import everything, shown
from ithil.dicomweb.qido_query import Search
from ithil.error_codes import CodedError
from ithil.http.accept import accepted
from ithil.http.answers import Answer, Stream
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route

JSON, XML, CSV = "application/dicom+json", "application/dicom+xml", "text/csv"

_MORE = (
    "The number of results exceeded the maximum supported by the server. Additional results can be requested."
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
            answers=(JSON, f'multipart/related; type="{XML}"', CSV),
            fails=(400,),
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
        answer = _FORMS[form](_Results(request, asked))
    except BadQuery as error:
        raise CodedError(codes.BAD_REQUEST, str(error)) from None
    if asked.warnings:
        agent = service_root(request)
        # PS3.18 8.4.3 has the service where HTTP has an agent, with a colon behind it.
        answer.headers["Warning"] = ", ".join(f'299 {agent}: "{text}"' for text in asked.warnings)
    return answer


def _form(request: Request) -> tuple[str, bool]:
    """The media type of the answer, and whether the client takes it.

    Viewers send all kinds of types to all kinds of resources, so who asks for none of ours gets JSON.
    """
    for one in accepted(request):
        if one.media_type == "multipart/related":
            wanted = one.parameters.get("type", XML).lower()
            if wanted in (XML, "*/*"):
                return XML, True
            continue
        for form in (JSON, XML, CSV):
            if one.takes(form):
                return form, True
        if one.takes("application/json"):
            return JSON, True
    return JSON, False


class _Results:
    """What a search finds, as objects, batch by batch."""

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
        if most == asked.limit:
            keys = find.keys(archive, query, request.context.closing)
        else:
            keys = _at_most(
                most, find.keys(archive, replace(query, limit=most + 1), request.context.closing), asked
            )
        self._objects = chain.from_iterable(self._answers.batches(keys))
        self.first = list(islice(self._objects, find.BATCH))

    @property
    def complete(self) -> bool:
        """Whether `first` is all there is."""
        return len(self.first) < find.BATCH

    def batches(self) -> Iterator[Sequence[Json]]:
        """All of them; each is drawn once."""
        batch = self.first
        while batch:
            yield batch
            batch = list(islice(self._objects, find.BATCH))


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


def _json(results: _Results) -> Answer:
    if results.complete:
        return Answer(orjson.dumps(results.first), JSON)
    return Answer(Stream(_json_pieces(results)), JSON)


def _json_pieces(results: _Results) -> Iterator[bytes]:
    before = b"["
    for batch in results.batches():
        yield before + orjson.dumps(batch)[1:-1]
        before = b","
    yield b"]"


def _xml(results: _Results) -> Answer:
    objects = chain.from_iterable(results.batches())
    parts: Iterable[Part] = (_xml_part(one) for one in objects)
    return related(list(parts) if results.complete else parts, XML)


def _xml_part(one: Json) -> Part:
    content = object_to_xml(one)
    return Part(XML, [content], len(content))


def _csv(results: _Results) -> Answer:
    columns = sorted(results.shown.all)
    pieces = qido_csv.lines(columns, results.batches())
    content_type = f"{CSV}; charset=utf-8"
    if results.complete:
        return Answer(b"".join(pieces), content_type)
    return Answer(Stream(pieces), content_type)


_FORMS: dict[str, Callable[[_Results], Answer]] = {JSON: _json, XML: _xml, CSV: _csv}
