"""What can be changed while the server runs: encodings, acceptance, metrics, log levels; and its own life.

The values hold for all processes of this host until the server stops; the configuration does not change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import orjson

from ithil import error_codes as codes
from ithil import logs
from ithil.dicom import uids
from ithil.dicom.charsets import ORTHANC_ENCODINGS
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import TEXT, Answer
from ithil.http.context import ServerControl
from ithil.http.request import Request, boolean_body
from ithil.http.routing import Route
from ithil.settings.acceptance import Acceptance

log = logging.getLogger(__name__)

Handler = Callable[[Request], Answer]

_BOOLEAN = "0, 1, true or false"
_LONGEST_PATTERNS = 16 * 1024  # bytes; all transfer syntaxes by name take a quarter of it
_ENCODINGS = {name.lower(): name for name in ORTHANC_ENCODINGS}


def routes() -> list[Route]:
    """The routes of this module."""
    table = [
        Route(
            "GET",
            "/tools/default-encoding",
            get_default_encoding,
            "The encoding of data sets that do not name theirs",
            answers=TEXT,
        ),
        Route(
            "PUT",
            "/tools/default-encoding",
            put_default_encoding,
            "Set that encoding until the server stops",
            body=TEXT,
            answers=TEXT,
        ),
        Route(
            "GET",
            "/tools/accepted-transfer-syntaxes",
            get_transfer_syntaxes,
            "The transfer syntaxes that are accepted by DICOM",
        ),
        Route(
            "PUT",
            "/tools/accepted-transfer-syntaxes",
            put_transfer_syntaxes,
            "Set them, as a UID, a pattern, or an array of those",
            body=TEXT,
        ),
        Route(
            "GET",
            "/tools/unknown-sop-class-accepted",
            get_unknown_sop_class,
            "Whether instances of SOP classes that nobody knows are accepted",
            answers=TEXT,
        ),
        Route(
            "PUT",
            "/tools/unknown-sop-class-accepted",
            put_unknown_sop_class,
            f"Set that: {_BOOLEAN}",
            body=TEXT,
            answers=TEXT,
        ),
        Route(
            "GET",
            "/tools/accepted-sop-classes",
            get_sop_classes,
            "The storage SOP classes that are accepted",
        ),
        Route("GET", "/tools/metrics", get_metrics, "Whether metrics are shown", answers=TEXT),
        Route("PUT", "/tools/metrics", put_metrics, f"Set that: {_BOOLEAN}", body=TEXT, answers=TEXT),
        Route("GET", "/tools/log-level", get_log_level, "How much is logged", answers=TEXT),
        Route(
            "PUT",
            "/tools/log-level",
            put_log_level,
            "Set that for everything: default, verbose or trace",
            body=TEXT,
            answers=TEXT,
        ),
        Route("POST", "/tools/reset", post_reset, "Read the configuration again and start anew"),
        Route("POST", "/tools/shutdown", post_shutdown, "Stop the server"),
    ]
    for category in logs.CATEGORIES:
        path = f"/tools/log-level-{category}"
        table += [
            Route("GET", path, category_reader(category), f"How much of {category} is logged", answers=TEXT),
            Route(
                "PUT",
                path,
                category_writer(category),
                "Set that: default, verbose or trace",
                body=TEXT,
                answers=TEXT,
            ),
        ]
    return table


def get_default_encoding(request: Request) -> Answer:
    """`GET /tools/default-encoding`."""
    return answers.text(request.context.archive.default_encoding)


def put_default_encoding(request: Request) -> Answer:
    """`PUT /tools/default-encoding`: answers with the name as it is written."""
    name = _ENCODINGS.get(request.body.decode("latin-1").lower())
    if name is None:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "This is no encoding that the option takes")
    request.context.archive.runtime.change(default_encoding=name)
    return answers.text(name)


def get_transfer_syntaxes(request: Request) -> Answer:
    """`GET /tools/accepted-transfer-syntaxes`."""
    return answers.json(request, sorted(acceptance(request).transfer_syntaxes()))


def put_transfer_syntaxes(request: Request) -> Answer:
    """`PUT /tools/accepted-transfer-syntaxes`: those of the known ones that match a pattern of the body."""
    patterns = _patterns(request.body)
    chosen = tuple(sorted(uid for uid in uids.TRANSFER_SYNTAXES if uids.matches_uid(uid, patterns)))
    request.context.archive.runtime.change(accepted_transfer_syntaxes=chosen)
    return answers.json(request, list(chosen))


def get_unknown_sop_class(request: Request) -> Answer:
    """`GET /tools/unknown-sop-class-accepted`."""
    return answers.text("1" if acceptance(request).unknown_sop_classes() else "0")


def put_unknown_sop_class(request: Request) -> Answer:
    """`PUT /tools/unknown-sop-class-accepted`."""
    accepted = boolean_body(request.body)
    request.context.archive.runtime.change(unknown_sop_class_accepted=accepted)
    return answers.empty()


def get_sop_classes(request: Request) -> Answer:
    """`GET /tools/accepted-sop-classes`."""
    return answers.json(request, acceptance(request).sop_classes())


def get_metrics(request: Request) -> Answer:
    """`GET /tools/metrics`."""
    return answers.text("1" if metrics_shown(request) else "0")


def put_metrics(request: Request) -> Answer:
    """`PUT /tools/metrics`."""
    request.context.archive.runtime.change(metrics=boolean_body(request.body))
    return answers.empty()


def get_log_level(request: Request) -> Answer:
    """`GET /tools/log-level`: that of the category that says most."""
    return answers.text(logs.most_detailed(_levels(request)))


def put_log_level(request: Request) -> Answer:
    """`PUT /tools/log-level`, for all categories."""
    return _set_levels(request, logs.CATEGORIES)


def category_reader(category: str) -> Handler:
    """`GET /tools/log-level-{category}`."""
    return lambda request: answers.text(_levels(request)[category])


def category_writer(category: str) -> Handler:
    """`PUT /tools/log-level-{category}`."""
    return lambda request: _set_levels(request, (category,))


def post_reset(request: Request) -> Answer:
    """`POST /tools/reset`: the answer comes before the server does it."""
    control = _control(request)
    log.warning("The server is started anew, as a client asked for")
    control.reset()
    return answers.done()


def post_shutdown(request: Request) -> Answer:
    """`POST /tools/shutdown`: the answer comes before the server does it."""
    control = _control(request)
    log.warning("The server stops, as a client asked for")
    control.shutdown()
    return answers.done()


def acceptance(request: Request) -> Acceptance:
    """What is accepted by DICOM at the moment."""
    return Acceptance(request.context.settings, request.context.archive.runtime)


def metrics_shown(request: Request) -> bool:
    """Whether metrics are shown at the moment."""
    chosen = request.context.archive.runtime.values.metrics
    return request.context.settings.metrics_enabled if chosen is None else chosen


def _control(request: Request) -> ServerControl:
    control = request.context.control
    if control is None:
        raise CodedError(codes.NOT_IMPLEMENTED, "There is no server around this application")
    return control


def _levels(request: Request) -> dict[str, str]:
    # Another process may have been told, and this one not have looked yet.
    return {**logs.current(), **request.context.archive.runtime.values.log_levels}


def _set_levels(request: Request, categories: Iterable[str]) -> Answer:
    level = request.body.decode("latin-1")
    if level not in logs.LEVELS:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'A log level is "default", "verbose" or "trace"')
    wanted = dict.fromkeys(categories, level)
    request.context.archive.runtime.update(
        lambda values: replace(values, log_levels={**values.log_levels, **wanted})
    )
    logs.apply(wanted)
    return answers.empty()


def _patterns(body: bytes) -> list[str]:
    """One pattern as text, or some as JSON. Raises CodedError (bad file format)."""
    if len(body) > _LONGEST_PATTERNS:
        raise CodedError(codes.BAD_FILE_FORMAT, "These are more patterns than there are transfer syntaxes")
    try:
        value = orjson.loads(body)
    except ValueError:
        # As text it may have a wildcard; what is meant to be JSON begins like it.
        return [body.decode("latin-1").strip()]
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
        raise CodedError(codes.BAD_FILE_FORMAT, "The body must be a pattern or an array of patterns")
    return [str(one) for one in patterns]
