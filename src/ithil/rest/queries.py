"""`/queries`: what modalities answered, and what can be made of the answers: retrieve them, or query below them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from ithil import error_codes as codes
from ithil.archive import queries, remotes
from ithil.archive.archive import Archive
from ithil.archive.queries import KeptQuery
from ithil.dicom.dataset import Dataset
from ithil.dicom.level import Level
from ithil.dicom.main_tags import PATIENT_ID
from ithil.dicom.tags_format import Format, format_dataset, format_values
from ithil.dicom.values import value_text
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import TEXT, Answer
from ithil.http.job_requests import parse_job_fields, run_job
from ithil.http.request import Request, boolean
from ithil.http.routing import Field, Parameter, Route, split
from ithil.rest import modality_body as read
from ithil.rest.find import body_format
from ithil.rest.listing import listed
from ithil.rest.modalities import TIMEOUT
from ithil.rest.modality_find import parsed_answer
from ithil.rest.modality_jobs import JOB_FIELDS, wanted
from ithil.rest.resource_json import tag_format
from ithil.services import retrieve_jobs
from ithil.services.get_job import GET
from ithil.services.modality_link import local_title
from ithil.services.move_job import MOVE
from ithil.services.query_keys import ACCESSION_NUMBER, UNIQUE_KEYS, levels_to, query_keys
from ithil.services.query_user import find
from ithil.services.retrieve_jobs import RetrieveWish, Wanted

Handler = Callable[[Request], Answer | Awaitable[Answer]]

_FORMATS = (
    Parameter("simplify", "Tags by name"),
    Parameter("short", "Tags as gggg,eeee without their names"),
)
_RETRIEVE = (
    Field("TargetAet", "string", "Who receives it by C-MOVE; this server if absent"),
    Field("RetrieveMethod", "string", "C-MOVE or C-GET; as the modality is configured if absent"),
    Field("Full", "boolean", "Show the queries of the job with names and types of tags"),
    Field("Short", "boolean", "Show them with tags as gggg,eeee; so if none of these is there"),
    Field("Simplify", "boolean", "Show them with tags by name"),
    TIMEOUT,
    *JOB_FIELDS,
)
_METHODS = {"C-MOVE": MOVE, "C-GET": GET}
_BATCH = 100
_DIGITS = 9


def routes() -> list[Route]:
    """The routes of this module."""
    one, answer = "/queries/{id}", "/queries/{id}/answers/{index}"
    table = [
        Route("GET", "/queries", list_queries, "The ids of the queries that are kept"),
        Route("GET", one, list_operations, "What can be asked of the query"),
        Route("DELETE", one, delete_query, "Forget the query", writes=True),
        Route("GET", f"{one}/level", get_level, "The level of the query", answers=TEXT),
        Route("GET", f"{one}/modality", get_modality, "The modality that was asked", answers=TEXT),
        Route("GET", f"{one}/query", get_query, "What was asked for", _FORMATS),
        Route(
            "GET",
            f"{one}/answers",
            list_answers,
            "The numbers of the answers",
            (Parameter("expand", "Show the answers themselves"), *_FORMATS),
        ),
        Route("GET", answer, list_answer_operations, "What can be asked of the answer"),
        Route("GET", f"{answer}/content", get_content, "The answer itself", _FORMATS),
        Route(
            "POST",
            f"{answer}/retrieve",
            retrieve_one,
            "Retrieve what the answer is about, as a job; the body may also be the title of who receives it",
            body=_RETRIEVE,
            writes=True,
        ),
        Route(
            "POST",
            f"{one}/retrieve",
            retrieve_all,
            "Retrieve all answers, as one job",
            body=_RETRIEVE,
            writes=True,
        ),
    ]
    table += [
        Route(
            "POST",
            f"{answer}/query-{level.plural}",
            below(level),
            f"Query the {level.plural} of what the answer is about",
            body=(Field("Query", "object", "Texts by tag"), TIMEOUT),
            writes=True,
        )
        for level in (Level.STUDY, Level.SERIES, Level.INSTANCE)
    ]
    return table


def _query(request: Request) -> KeptQuery:
    """The query in the path. Raises CodedError (unknown resource)."""
    return queries.get(request.context.archive, request.arguments["id"])


def _number(request: Request) -> int:
    """The number of an answer in the path. Raises CodedError (bad type)."""
    text = request.arguments["index"]
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
        raise CodedError(codes.BAD_PARAMETER_TYPE, "The number of an answer is expected")
    return sign * int(digits)


def _answer(request: Request, query: KeptQuery) -> Dataset:
    """The answer in the path. Raises CodedError."""
    archive = request.context.archive
    content = queries.answer(archive, query, _number(request))
    return parsed_answer(archive, query.transfer_syntax, content)


# -- what there is -------------------------------------------------------------------------------------------


def list_queries(request: Request) -> Answer:
    """`GET /queries`."""
    return answers.json(request, queries.ids(request.context.archive))


def list_operations(request: Request) -> Answer:
    """`GET /queries/{id}`."""
    _query(request)
    match = request.context.router.match(split("/queries/any"))
    return answers.json(request, [] if match is None else match.node.child_names)


def delete_query(request: Request) -> Answer:
    """`DELETE /queries/{id}`; one that is not there is no error."""
    queries.delete(request.context.archive, request.arguments["id"])
    return answers.empty()


def get_level(request: Request) -> Answer:
    """`GET /queries/{id}/level`."""
    return answers.text(_query(request).level.singular)


def get_modality(request: Request) -> Answer:
    """`GET /queries/{id}/modality`."""
    return answers.text(_query(request).modality)


def get_query(request: Request) -> Answer:
    """`GET /queries/{id}/query`."""
    query = _query(request)
    return answers.json(request, format_values(query.query, tag_format(request.query, Format.FULL)))


def list_answers(request: Request) -> Answer:
    """`GET /queries/{id}/answers`: their numbers, or with `expand` the answers."""
    query = _query(request)
    if not boolean(request.query, "expand"):
        return answers.json(request, [str(number) for number in range(query.answers)])
    form = tag_format(request.query, Format.FULL)
    return listed(request, _shown(request.context.archive, query, form))


def _shown(archive: Archive, query: KeptQuery, form: Format) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for content in queries.answers(archive, query):
        parsed = parsed_answer(archive, query.transfer_syntax, content)
        batch.append(format_dataset(parsed, form, maximum_length=None))
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def list_answer_operations(request: Request) -> Answer:
    """`GET /queries/{id}/answers/{index}`.

    The name `query-study` stands for the route `query-studies`, as in Orthanc, whose clients may count on it.
    """
    query = _query(request)
    _answer(request, query)
    shown = ["content", "retrieve"]
    names = {Level.STUDY: "query-study", Level.SERIES: "query-series", Level.INSTANCE: "query-instances"}
    shown += [name for level, name in names.items() if level > query.level]
    return answers.json(request, shown)


def get_content(request: Request) -> Answer:
    """`GET /queries/{id}/answers/{index}/content`."""
    found = _answer(request, _query(request))
    shown = format_dataset(found, tag_format(request.query, Format.FULL), maximum_length=None)
    return answers.json(request, shown)


# -- what follows from an answer -----------------------------------------------------------------------------


def below(level: Level) -> Callable[[Request], Answer]:
    """`POST /queries/{id}/answers/{index}/query-{level}`: where the answers are, once all have come."""

    def handle(request: Request) -> Answer:
        archive = request.context.archive
        parent = _query(request)
        found = _answer(request, parent)
        if level <= parent.level:
            raise CodedError(codes.UNKNOWN_RESOURCE)
        body = read.json_object(request)
        timeout = read.timeout(body)
        asked = {**read.keys(body.get("Query", {})), **_names(parent.level, found)}
        modality = remotes.modality(archive, parent.modality)
        sent = query_keys(level, asked, modality, normalise=True)
        timeout = parent.timeout if timeout is None else timeout
        came = find(archive, modality, level, sent, calling=parent.local_aet, timeout=timeout)
        key = queries.keep(
            archive, parent.modality, level, asked, came, local_aet=parent.local_aet, timeout=timeout
        )
        return answers.json(request, {"ID": key, "Path": f"/queries/{key}"})

    return handle


def _names(level: Level, found: Dataset) -> dict[int, str]:
    """What names a resource of a level in queries below it: its UIDs, or the PatientID of a patient."""
    tags = (
        [PATIENT_ID] if level == Level.PATIENT else [UNIQUE_KEYS[each] for each in Level if 0 < each <= level]
    )
    texts = _texts(found, tags)
    if any(not texts.get(tag) for tag in tags):
        raise CodedError(codes.BAD_REQUEST, "The answer lacks a unique key of its level")
    return texts


def _texts(found: Dataset, tags: list[int]) -> dict[int, str]:
    """The texts of those of the tags that are there."""
    decode = found.decode
    texts = {}
    for tag in tags:
        element = found.find(tag)
        if element is not None:
            texts[tag] = (value_text(element.vr, bytes(element.value), decode, found.sign) or "").strip()
    return texts


def retrieve_one(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /queries/{id}/answers/{index}/retrieve`."""
    query = _query(request)
    return _retrieve(request, query, [_wanted(query, _answer(request, query))])


def retrieve_all(request: Request) -> Answer | Awaitable[Answer]:
    """`POST /queries/{id}/retrieve`."""
    query = _query(request)
    archive = request.context.archive
    every = [
        _wanted(query, parsed_answer(archive, query.transfer_syntax, content))
        for content in queries.answers(archive, query)
    ]
    return _retrieve(request, query, every)


def _wanted(query: KeptQuery, found: Dataset) -> Wanted:
    tags = [UNIQUE_KEYS[each] for each in levels_to(query.level)]
    if query.level > Level.PATIENT:
        tags.append(ACCESSION_NUMBER)
    texts = _texts(found, tags)
    return wanted(query.level, texts, texts)


def _retrieve(request: Request, query: KeptQuery, every: list[Wanted]) -> Answer | Awaitable[Answer]:
    archive = request.context.archive
    modality = remotes.modality(archive, query.modality)
    body = _retrieve_body(request)
    kind = _kind(body, modality.retrieve_method, archive.settings.dicom_default_retrieve_method)
    target = read.title(body, "TargetAet", codes.BAD_PARAMETER_TYPE)
    fields = parse_job_fields(body, synchronous=True)
    timeout = read.timeout(body)
    if kind == MOVE:
        target = target or local_title(archive, modality, query.local_aet)
    wish = RetrieveWish(
        modality=modality,
        wanted=every,
        target_aet=target if kind == MOVE else "",
        local_aet=query.local_aet,
        timeout=query.timeout if timeout is None else timeout,
        permissive=fields.permissive,
        form=body_format(body, Format.SHORT),
    )
    content = retrieve_jobs.content(archive, wish)
    return run_job(request, kind, retrieve_jobs.arguments(wish), fields, content=content)


def _retrieve_body(request: Request) -> dict[str, Any]:
    """The body as an object; plain text is the title of who receives, nothing is this server."""
    text = request.body.strip()
    if not text:
        return {}
    if text[:1] in b'{["':
        value = read.json(request)
        if isinstance(value, str):
            return {"TargetAet": value}
        if not isinstance(value, dict):
            raise read.bad("The body must be a JSON object, or an application entity title")
        return value
    return {"TargetAet": text.decode("latin-1")}


def _kind(body: dict[str, Any], of_modality: str, default: str) -> str:
    """The kind of job that retrieves. Raises CodedError (parameter out of range)."""
    method = body.get("RetrieveMethod", "SystemDefault")
    for each in (method, of_modality, default):
        if each != "SystemDefault":
            found = _METHODS.get(each) if isinstance(each, str) else None
            if found is None:
                raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "A method of retrieval is C-MOVE or C-GET")
            return found
    return MOVE
