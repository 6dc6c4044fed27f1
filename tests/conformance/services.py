"""System routes: values that can be changed at run time, modules and tags of many instances, small services."""

from __future__ import annotations

from tests.conformance.line import Ask, Difference, Scenario

_SERIES = tuple(f"pydicom/dicomdirtests/77654033/CT2/{number}" for number in (17106, 17136, 17166, 17196))
_CT = "pydicom/CT_small.dcm"

_JSON = Difference(
    "body.*",
    "A body that is not JSON has the code of a bad request, with the same status.",
    ours=8,
    theirs=15,
)
_JSON_MESSAGE = Difference(
    "body.*", "The message of that code.", ours="Bad request", theirs="Bad file format"
)
_NEW_IN_1_12 = (
    Difference("status", "A route of Orthanc 1.12.6.", ours=200, theirs=404),
    Difference("body*", "A route of Orthanc 1.12.6."),
)
_OWN_SCRIPT = (Difference("body", "A comment of Ithil's own: no plugin extends the user interface."),)
_OWN_STATEMENT = (Difference("body", "The statement is about Ithil."),)
_SYNTAXES = (
    Difference("body*", "Ithil knows the transfer syntaxes of the standard of today, and takes them."),
)
_TITLES = (
    Difference("status", "A title that none can have is the client's mistake.", ours=400, theirs=500),
    Difference("body.*", "A title that none can have is the client's mistake."),
)
_NO_LUA = (
    Difference("status", "Lua is not there yet.", ours=404, theirs=403),
    Difference("body*", "Lua is not there yet."),
    Difference("header.content-type", "Lua is not there yet."),
)


_CAPITALS = (
    Difference("status", "Booleans in capitals are understood.", ours=200, theirs=400),
    Difference("body*", "Booleans in capitals are understood."),
    Difference("header.content-type", "Booleans in capitals are understood."),
)
_UID_AS_TEXT = (
    Difference("status", "A UID is text, even though it begins like a number in JSON.", ours=200, theirs=400),
    Difference("body*", "A UID is text, even though it begins like a number in JSON."),
)


def _value(path: str, *bodies: str) -> list[Ask]:
    """Look, and then set each value and look again."""
    lines = [Ask("GET", path)]
    for body in bodies:
        lines += [Ask("PUT", path, body, note=repr(body)), Ask("GET", path)]
    return lines


_BOOLEANS = ("1", "0", "true", "false", "", "yes", "2")
_CATEGORIES = ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua")
_ENCODINGS = ("Utf8", "utf8", "ASCII", "Cyrillic", "Japanese", "nope", "", "Utf8 ", "Latin1")


def _log_levels() -> list[Ask]:
    lines = _value("/tools/log-level", "default", "verbose", "trace", "default", "", "Default", "debug")
    for category in _CATEGORIES:
        lines += _value(f"/tools/log-level-{category}", "default", "verbose", "nope")
    lines += [Ask("GET", "/tools/log-level"), Ask("PUT", "/tools/log-level", "default")]
    lines += [Ask("GET", f"/tools/log-level-{category}") for category in _CATEGORIES]
    return [*lines, Ask("GET", "/tools/log-level-nope"), Ask("PUT", "/tools/log-level-nope", "default")]


def _echo() -> list[Ask]:
    good = '"AET": "X", "Host": "127.0.0.1", "Port": 1'
    bodies = (
        "{}",
        '{"AET": "X"}',
        '{"AET": "X", "Host": "127.0.0.1"}',
        '{"AET": "X", "Host": "127.0.0.1", "Port": 70000}',
        '{"AET": "X", "Host": "127.0.0.1", "Port": 0}',
        '{"AET": 1, "Host": "127.0.0.1", "Port": 1}',
        f"{{{good}}}",
        f'{{{good}, "Timeout": -1}}',
        f'{{{good}, "Timeout": "x"}}',
        '["X", "127.0.0.1", 1]',
    )
    lines = [Ask("POST", "/tools/dicom-echo", body, note=body) for body in bodies]
    lines.append(Ask("POST", "/tools/dicom-echo", "x", note="no JSON", ours=(_JSON, _JSON_MESSAGE)))
    empty = '{"AET": "", "Host": "127.0.0.1", "Port": 1}'
    lines.append(Ask("POST", "/tools/dicom-echo", empty, note="empty title", ours=_TITLES))
    return [*lines, Ask("GET", "/tools/dicom-echo")]


AT_RUN_TIME = Scenario(
    "values at run time",
    (
        *_value("/tools/default-encoding", *_ENCODINGS),
        *_value("/tools/metrics", *_BOOLEANS),
        Ask("PUT", "/tools/metrics", "TRUE", ours=_CAPITALS),
        Ask("PUT", "/tools/metrics", "0"),
        Ask("GET", "/tools/metrics-prometheus", note="switched off"),
        Ask("PUT", "/tools/metrics", "1"),
        Ask("GET", "/tools/metrics-prometheus", compare="status"),
        *_value("/tools/unknown-sop-class-accepted", *_BOOLEANS),
        *_log_levels(),
        Ask("GET", "/tools/accepted-transfer-syntaxes", ours=_SYNTAXES),
        Ask("PUT", "/tools/accepted-transfer-syntaxes", "1.2.840.10008.1.2", ours=_UID_AS_TEXT),
        Ask("PUT", "/tools/accepted-transfer-syntaxes", "1.2.840.10008.1.2.4.5?", ours=_UID_AS_TEXT),
        Ask("PUT", "/tools/accepted-transfer-syntaxes", '["1.2.840.10008.1.2.2"]'),
        *_value(
            "/tools/accepted-transfer-syntaxes",
            '["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]',
            '"1.2.840.10008.1.2.5"',
            '["1.2.840.10008.1.2.4.8*"]',
            "nope",
            '["1.2.3"]',
            "[]",
            "",
            "{}",
            "[1]",
        ),
        Ask("PUT", "/tools/accepted-transfer-syntaxes", "*", ours=_SYNTAXES),
        Ask("GET", "/tools/accepted-sop-classes", ours=_NEW_IN_1_12),
        Ask("POST", "/tools/default-encoding", "Utf8"),
        Ask("DELETE", "/tools/log-level"),
        Ask("GET", "/tools/reset"),
        Ask("GET", "/tools/shutdown"),
    ),
)

SERVICES = Scenario(
    "small services",
    (
        *_echo(),
        Ask("GET", "/plugins"),
        Ask("GET", "/plugins/explorer.js", ours=_OWN_SCRIPT),
        Ask("GET", "/plugins/nope"),
        Ask("POST", "/plugins"),
        Ask("GET", "/tools/dicom-conformance", ours=_OWN_STATEMENT),
        Ask("POST", "/instances/{instance:CT_small}/export", "/nope", note="switched off"),
        Ask("POST", "/instances/nope/export", "/nope", note="switched off"),
        Ask("POST", "/tools/execute-script", "print(1)", ours=_NO_LUA),
    ),
    files=(_CT,),
)

EXPORT = Scenario(
    "writing to the server's disk",
    (
        Ask("POST", "/instances/{instance:CT_small}/export", "/dev/null/x.dcm", note="no folder"),
        Ask("POST", "/instances/{instance:CT_small}/export", "/", note="a folder"),
        Ask("POST", "/instances/{instance:CT_small}/export", "", note="no path"),
        Ask("POST", "/instances/nope/export", "/dev/null/x.dcm"),
        Ask("GET", "/instances/{instance:CT_small}/export"),
    ),
    files=(_CT,),
    configuration={"RestApiWriteToFileSystemEnabled": True},
)

_FORMS = ("", "?short", "?simplify", "?full")
_LEVELS = (("patients", "patient"), ("studies", "study"), ("series", "series"), ("instances", "instance"))


def _tags() -> list[Ask]:
    lines = []
    for plural, level in _LEVELS:
        one = f"/{plural}/{{{level}}}"
        lines += [Ask("GET", f"{one}/module{form}") for form in _FORMS]
        lines += [
            Ask("GET", f"{one}/module?ignore-length=SOPClassUID,0008-0060"),
            Ask("GET", f"/{plural}/nope/module"),
            Ask("GET", f"{one}/module?ignore-length=nope"),
            Ask("POST", f"{one}/module"),
        ]
        if level != "instance":
            lines += [Ask("GET", f"{one}/shared-tags{form}") for form in _FORMS]
            lines += [Ask("GET", f"{one}/instances-tags{form}") for form in _FORMS]
            lines += [
                Ask("GET", f"{one}/instances-tags?simplify&ignore-length=SOPClassUID"),
                Ask("GET", f"/{plural}/nope/shared-tags"),
                Ask("GET", f"/{plural}/nope/instances-tags"),
            ]
        else:
            lines += [Ask("GET", f"{one}/shared-tags"), Ask("GET", f"{one}/instances-tags")]
    lines += [Ask("GET", f"/studies/{{study}}/module-patient{form}") for form in _FORMS]
    return [
        *lines,
        Ask("GET", "/studies/nope/module-patient"),
        Ask("GET", "/patients/{patient}/module-patient"),
        Ask("GET", "/series/{series}/ordered-slices"),
        Ask("GET", "/series/nope/ordered-slices"),
        Ask(
            "GET",
            "/studies/{study:CT_small}/instances-tags?simplify",
            headers={"Accept": "application/xml"},
            note="XML",
        ),
    ]


TAGS = Scenario("modules and tags of many instances", tuple(_tags()), files=None)

SYSTEM = (AT_RUN_TIME, SERVICES, EXPORT, TAGS)
