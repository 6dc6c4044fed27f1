"""Who may ask: Basic authentication, and errors without their description."""

from __future__ import annotations

from functools import partial

from tests.conformance.line import Ask, Difference, Scenario
from tests.data.real import content_of

_CT = "pydicom/CT_small.dcm"
_ALICE = ("alice", "secret")
_SCHEME = "The name of an authentication scheme has no case (RFC 9110 11.1)."
_REFUSED = {
    "garbage": "Basic !!!",
    "no colon": "Basic YWxpY2U=",
    "not UTF-8": "Basic //86/w==",
    "bearer": "Bearer x",
    "empty": "",
    "no token": "Basic",
}

USERS = Scenario(
    "users",
    (
        Ask("GET", "/system"),
        Ask("GET", "/nope"),
        Ask("GET", "/"),
        Ask("POST", "/instances", b"x"),
        Ask("PUT", "/instances", b"x"),
        Ask("DELETE", "/studies/{study:CT_small}"),
        *(
            Ask("GET", "/statistics", headers={"Authorization": value}, note=name)
            for name, value in _REFUSED.items()
        ),
        Ask(
            "GET",
            "/statistics",
            headers={"Authorization": "basic YWxpY2U6c2VjcmV0"},
            note="scheme in lower case",
            ours=(
                Difference("status", _SCHEME, ours=200, theirs=401),
                Difference("header.*", _SCHEME),
                Difference("body", _SCHEME),
            ),
        ),
        Ask("GET", "/statistics", user=("alice", "wrong"), note="wrong password"),
        Ask("GET", "/statistics", user=("alice", ""), note="no password"),
        Ask("GET", "/statistics", user=("", ""), note="nobody"),
        Ask("GET", "/statistics", user=("Alice", "secret"), note="another case"),
        Ask("GET", "/statistics", user=_ALICE, note="alice"),
        Ask("GET", "/statistics", user=("bob", "p:w"), note="password with a colon"),
        Ask("GET", "/statistics", user=("cécile", "pâsse"), note="beyond ASCII"),
        Ask("GET", "/nope", user=_ALICE, note="alice"),
        Ask("GET", "/studies/{study:CT_small}", user=_ALICE, note="alice"),
        Ask("GET", "/instances/{instance:CT_small}/metadata?expand", user=_ALICE, note="alice"),
        Ask("GET", "/instances/{instance:CT_small}/file", user=_ALICE, note="alice"),
        Ask("DELETE", "/studies/{study:CT_small}", user=_ALICE, note="alice"),
    ),
    files=(_CT,),
    configuration={
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"alice": "secret", "bob": "p:w", "cécile": "pâsse"},
    },
    user=_ALICE,
)

TERSE = Scenario(
    "errors without description",
    (
        Ask("GET", "/nope"),
        Ask("GET", "/patients?limit=1"),
        Ask("GET", "/instances/nope/file"),
        Ask("POST", "/instances", b"x"),
        Ask("POST", "/instances", partial(content_of, "pydicom/priv_SQ.dcm"), note="no UIDs"),
        Ask("GET", "/instances/{instance:CT_small}/attachments/nope"),
        Ask("POST", "/system"),
    ),
    files=(_CT,),
    configuration={"HttpDescribeErrors": False},
)

REMOTE = Scenario(
    "remote access without users",
    (Ask("GET", "/statistics"), Ask("GET", "/studies/{study:CT_small}")),
    files=(_CT,),
    configuration={"RemoteAccessAllowed": True, "AuthenticationEnabled": False},
)

ACCESS = (USERS, TERSE, REMOTE)
