"""`/dicom-web/servers`: how they are kept and shown, and what is said of wishes that cannot be met.

What is stored at and retrieved from servers that are there is compared in `tests/integration`.
"""

from __future__ import annotations

from tests.conformance.line import Ask, Difference, Scenario

_ROOT = "/dicom-web/servers"
_STUDY = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"
_UNKNOWN = "00000000-ca27c490-d0c7058c-929d0581-2bbf104d"
_DEAD = "http://127.0.0.1:1/dicom-web/"

_JSON = Difference(
    "header.content-type",
    "JSON says in which character set it is, as in the REST API.",
    ours="application/json; charset=utf-8",
    theirs="application/json",
)
_NO_ANSWER = "The job tells why it has failed; the plugin only says that it did."
_UNKNOWN_AT_ONCE = "A server that is not known is told at once, not by a job."
_NAMES = "The names of servers have the same characters as those of modalities and peers."
_CHECKED = "What makes no sense in a server is refused when it is written, not when it is needed."
_RANGE = "An argument that is no id is a bad request."


def _coded(code: int, reason: str) -> tuple[Difference, ...]:
    """The same refusal, with another code."""
    return (
        Difference("body.OrthancStatus", reason, ours=code),
        Difference("body.OrthancError", reason),
        Difference("body.Message", reason),
    )


def _refused(status: int, reason: str) -> tuple[Difference, ...]:
    return (
        Difference("status", reason, ours=status),
        Difference("header.content-type", reason),
        Difference("body*", reason),
    )


def _put(name: str, body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("PUT", f"{_ROOT}/{name}", body, note=body, ours=ours)


def _post(path: str, body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("POST", f"{_ROOT}/{path}", body, note=body, ours=ours)


DICOMWEB_SERVERS = Scenario(
    "dicomweb servers",
    (
        Ask("GET", _ROOT, ours=(_JSON,)),
        Ask("GET", f"{_ROOT}?expand", ours=(_JSON,)),
        Ask("GET", f"{_ROOT}/dead", ours=(_JSON,)),
        Ask("GET", f"{_ROOT}/full", ours=(_JSON,)),
        Ask("GET", f"{_ROOT}/nope"),
        Ask("POST", _ROOT),
        Ask("GET", f"{_ROOT}/dead/stow"),
        _put("new", '["http://localhost:1/"]'),
        _put("new", '["http://localhost:1", "u", "p"]'),
        _put("new", '{"Url": "http://localhost:1", "Username": "u", "Password": "p", "HasDelete": true}'),
        Ask("GET", f"{_ROOT}?expand", ours=(_JSON,), note="with a new one"),
        Ask("GET", f"{_ROOT}/new", ours=(_JSON,)),
        _put("bad", "nonsense"),
        _put("bad", "[]"),
        _put("bad", '["http://localhost:1/", "u"]'),
        _put("bad", '{"Url": "ftp://localhost"}'),
        _put("bad", '{"Url": "http://localhost", "Timeout": "5"}'),
        _put("bad", '{"Url": "http://localhost", "Other": {}}'),
        _put("bad", '{"Url": "http://localhost", "HasDelete": "maybe"}', _refused(400, _CHECKED)),
        _put("not.good", '["http://localhost:1/"]', _refused(400, _NAMES)),
        Ask("DELETE", f"{_ROOT}/new"),
        Ask("DELETE", f"{_ROOT}/new", note="again"),
        _post("dead/get", '{"Uri": "/studies"}'),
        _post("dead/get", "{}"),
        _post("dead/get", "nonsense"),
        _post("dead/get", '{"Uri": 5}'),
        _post("dead/get", '{"Uri": "/studies?limit=1"}'),
        _post("dead/get", '{"Uri": "/studies", "Arguments": {"limit": 1}}'),
        _post("dead/get", '{"Uri": "/studies", "HttpHeaders": ["x"]}'),
        _post(
            "dead/get",
            '{"Uri": "../system"}',
            _refused(400, "Only what is below the address of the server can be asked for."),
        ),
        _post("nope/get", '{"Uri": "/studies"}'),
        _post("dead/qido", '{"Uri": "/studies"}'),
        _post("dead/qido", "{}"),
        _post("nope/qido", '{"Uri": "/studies"}'),
        _post("dead/stow", f'{{"Resources": ["{_STUDY}"]}}', _coded(9, _NO_ANSWER)),
        _post("dead/stow", f'{{"Resources": ["{_UNKNOWN}"]}}'),
        _post("dead/stow", '{"Resources": ["nope"]}', _refused(400, _RANGE)),
        _post("dead/stow", f'{{"Resources": "{_STUDY}"}}'),
        _post("dead/stow", f'["{_STUDY}"]'),
        _post("dead/stow", "{}"),
        _post("dead/stow", "nonsense"),
        _post("dead/stow", f'{{"Resources": ["{_STUDY}"], "Priority": "x"}}'),
        _post("dead/stow", f'{{"Resources": ["{_STUDY}"], "Synchronous": "x"}}'),
        _post("dead/stow", f'{{"Resources": ["{_STUDY}"], "HttpHeaders": [1]}}'),
        _post(
            "dead/stow", '{"Resources": []}', _refused(200, "Where there is nothing to send nobody is asked.")
        ),
        _post("nope/stow", f'{{"Resources": ["{_STUDY}"]}}', _refused(404, _UNKNOWN_AT_ONCE)),
        _post("dead/retrieve", '{"Resources": [{"Study": "1.2"}]}', _coded(9, _NO_ANSWER)),
        _post("dead/retrieve", '{"Resources": [{"Series": "1.2"}]}'),
        _post("dead/retrieve", '{"Resources": ["x"]}'),
        _post("dead/retrieve", '{"Resources": "x"}'),
        _post("dead/retrieve", "{}"),
        _post("dead/retrieve", '{"Resources": [{"Study": "1.2"}], "GetArguments": {"a": 1}}'),
        _post("nope/retrieve", '{"Resources": [{"Study": "1.2"}]}', _refused(404, _UNKNOWN_AT_ONCE)),
        _post("dead/wado", '{"Uri": "studies/1.2", "Synchronous": true}', _coded(9, _NO_ANSWER)),
        _post("dead/wado", "{}"),
        _post(
            "dead/delete",
            '{"Level": "Study", "StudyInstanceUID": "1.2"}',
        ),
        _post("full/delete", '{"Level": "Study", "StudyInstanceUID": "1.2"}'),
        _post("full/delete", '{"Level": "Patient", "StudyInstanceUID": "1.2"}'),
        _post("full/delete", '{"Level": "Series", "StudyInstanceUID": "1.2"}'),
        _post("full/delete", "{}"),
        _post("nope/delete", '{"Level": "Study", "StudyInstanceUID": "1.2"}'),
    ),
    files=("pydicom/CT_small.dcm",),
    configuration={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {
            "Enable": True,
            "Servers": {
                "dead": [_DEAD],
                "full": {
                    "Url": _DEAD,
                    "Username": "user",
                    "Password": "secret",
                    "HttpHeaders": {"Token": "secret"},
                    "Timeout": 5,
                    "HasDelete": True,
                    "ChunkedTransfers": False,
                    "HasWadoRsUniversalTransferSyntax": "0",
                    "Other": "x",
                },
            },
        },
    },
)
