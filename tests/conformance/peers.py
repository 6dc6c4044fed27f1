"""`/peers`: how they are kept and shown, and what is said of one that does not answer."""

from __future__ import annotations

from functools import partial

from tests.conformance.line import Ask, Difference, Scenario
from tests.data.real import content_of

_CT = "pydicom/CT_small.dcm"
_STUDY = "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"
_INSTANCE = "f689ddd2-662f8fe1-8b18180d-ec2a2cee-937917af"

_NO_JSON = (
    Difference(
        "status", "A body that is no JSON is a mistake, not an unknown resource.", ours=400, theirs=404
    ),
    Difference("body*", "A body that is no JSON is a mistake, not an unknown resource."),
    Difference("header.content-type", "A body that is no JSON is a mistake, not an unknown resource."),
)
_FAILED = (
    Difference("body.FailedInstancesCount", "What could not be sent is counted.", ours=1, theirs=0),
    Difference("body.Size", "Only what was sent counts.", ours="0"),
)


def _put(name: str, body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("PUT", f"/peers/{name}", body, note=body, ours=ours)


def _store(peer: str, body: str, ours: tuple[Difference, ...] = ()) -> Ask:
    return Ask("POST", f"/peers/{peer}/store", body, note=body, ours=ours)


PEERS = Scenario(
    "peers",
    (
        Ask("GET", "/peers"),
        Ask("GET", "/peers?expand"),
        Ask("GET", "/peers/dead"),
        Ask("GET", "/peers/nope"),
        Ask("GET", "/peers/full/configuration"),
        Ask("GET", "/peers/nope/configuration"),
        Ask("GET", "/peers/nope/system"),
        Ask("GET", "/peers/dead/system"),
        Ask("POST", "/peers"),
        Ask("POST", "/peers/dead/system"),
        Ask("GET", "/peers/dead/store"),
        _put("new", '["http://localhost:1/"]'),
        _put("new", '{"Url": "http://localhost:1", "Username": "u", "Password": "p"}'),
        Ask("GET", "/peers/new/configuration"),
        _put("bad", '["ftp://localhost/"]'),
        _put("bad", "[]"),
        _put("bad", '["http://localhost:1/", "u"]'),
        _put("bad", '{"Url": 5}'),
        _put("bad", '{"Url": "http://localhost", "Timeout": "5"}'),
        _put("bad", '{"Url": "http://localhost", "HttpHeaders": 5}'),
        _put("bad", "nonsense", _NO_JSON),
        _put("not%20good", '["http://localhost:1/"]'),
        Ask("DELETE", "/peers/new"),
        Ask("DELETE", "/peers/new", note="again"),
        _store("dead", _STUDY),
        _store("dead", f'["{_STUDY}", "{_INSTANCE}"]'),
        _store("dead", f'{{"Resources": ["{_STUDY}"], "Permissive": true}}', _FAILED),
        _store("dead", "[]"),
        _store("dead", "nope"),
        _store("dead", '["nope"]'),
        _store("dead", '["00000000-ca27c490-d0c7058c-929d0581-2bbf104d"]'),
        _store("dead", ""),
        _store("dead", "{}"),
        _store("dead", f'{{"Resources": "{_STUDY}"}}'),
        _store("dead", f'{{"Resources": ["{_STUDY}"], "Transcode": "nope"}}'),
        _store("dead", f'{{"Resources": ["{_STUDY}"], "Compress": "x"}}'),
        _store("nope", _STUDY),
        Ask("POST", "/peers/dead/store-straight", partial(content_of, _CT)),
        Ask("POST", "/peers/nope/store-straight", partial(content_of, _CT)),
    ),
    files=(_CT,),
    configuration={
        "OrthancPeers": {
            "dead": ["http://127.0.0.1:1/"],
            "full": {
                "Url": "http://127.0.0.1:1/",
                "Username": "user",
                "Password": "secret",
                "HttpHeaders": {"Token": "secret"},
                "Timeout": 5,
                "RemoteSelf": "me",
            },
        }
    },
)
