"""Workitems that nobody sends in good faith: each is refused or kept as something that can be sent again."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.data.workitems import code, element, workitem
from tests.unit.application import Client

WORKITEMS = "/dicom-web/workitems"
ODD: list[Any] = [
    *(None, True, 0, -1, 1e308, 2**63, "", [], {}, [None], [[]], [{}], {"a": 1}, "x", "\u0001", "\ud7ff"),
    *("1" * 30, "*", "\\", "99999999999999999999", "NaN", {"Alphabetic": []}, {"Alphabetic": None}),
    *("US", "SQ", "UN", "OB", "PN", "DS", "AT", [1, "a", None, {}], element("SQ", code("1"))),
]
TAGS = (
    *("", "zz", "7FE00010", "00000000", "00001000", "00020010", "00091001", "00090010", "00280010"),
    *("00280106", "00741000", "0040A370", "00100010", "00080005", "FFFAFFFA", "00081195", "00080018"),
)


def mutated(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.05:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {
            chance.choice(TAGS) if chance.random() < 0.02 else key: mutated(one, chance)
            for key, one in value.items()
            if chance.random() > 0.03
        }
    if isinstance(value, list):
        return [mutated(one, chance) for one in value]
    return value


@pytest.mark.parametrize("seed", range(4))
def test_no_workitem_is_too_odd_for_an_answer(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    client.post(f"{WORKITEMS}?1.2.3", json=workitem())
    model = workitem(_00404025=element("SQ", {**code("WS1"), "00280010": element("US", 5)}))
    for _ in range(60):
        document = mutated(model, chance)
        statuses = [
            client.post(WORKITEMS, json=document).status_code,
            client.post(f"{WORKITEMS}/1.2.3", json=mutated(document, chance)).status_code,
            client.get(WORKITEMS, headers={"Accept": "application/dicom+xml"}).status_code,
        ]
        assert max(statuses) < 500, document
    assert client.get(f"{WORKITEMS}?includefield=all").status_code == 200


@pytest.mark.parametrize(
    "attribute",
    [
        {"00741200": {"vr": [], "Value": ["LOW"]}},
        {"00741200": {"vr": {}, "Value": ["LOW"]}},
        {"00280010": element("US", "99999999999999999999")},
        {"00280010": element("US", 65536)},
        {"0072007E": element("UV", 2**64)},
        {"00280010": element("US", True)},
        {"00741204": element("US", 1)},
        {"00741204": element("LO", 1)},
        {"00741204": element("LO", "two\\values")},
        {"00741204": element("LO", "\0")},
        {"00741204": {"vr": "LO", "BulkDataURI": "http://x"}},
        {"00741204": {"vr": "LO", "InlineBinary": "AAAA"}},
        {"00404025": element("SQ", 5)},
        {"00404025": element("SQ", {"7FE00010": {"vr": "OW", "InlineBinary": "AAAA"}})},
        {"00100010": element("PN", {"Alphabetic": 5})},
        {"0020000D": element("UI", "x")},
        {"0020000D": element("UI", "1." + "2" * 70)},
        {"00404021": element("SQ", {"00081155": element("UI", "1.02")})},
        {"00100020": element("LO", "P" * 65)},
        {"0074120": element("LO", "x")},
        {"7FE00010": {"vr": "OW"}},
    ],
)
def test_values_that_a_workitem_cannot_have(client: Client, attribute: dict[str, Any]) -> None:
    answer = client.post(WORKITEMS, json={**workitem(), **attribute})
    assert answer.status_code == 400
    assert answer.json()["Details"]
    assert client.get(WORKITEMS).json() == []


def test_what_is_kept_of_values(client: Client) -> None:
    sent = {
        "00090010": element("LO", "OWN"),
        "00091001": element("UN"),
        "0040A30A": element("DS", "1.50", None, 2),
        "00280010": element("US", "5"),
        "0072007C": element("UV", 2**63),
        "00720026": element("AT", "0010abcd"),
        "00720069": element("OB") | {"InlineBinary": "AQI="},
        "00104000": element("LT", "ü\\ö"),
        "00000000": element("UL", 5),
    }
    client.post(f"{WORKITEMS}?1.2.3", json={**workitem(), **sent})
    (found,) = client.get(f"{WORKITEMS}/1.2.3").json()
    assert found["0040A30A"]["Value"] == [1.5, None, 2]
    assert found["00280010"]["Value"] == [5]
    assert int(found["0072007C"]["Value"][0]) == 2**63
    assert found["00720026"]["Value"] == ["0010ABCD"]
    assert found["00720069"]["InlineBinary"] == "AQI="
    assert found["00104000"]["Value"] == ["ü\\ö"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Anna"}]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert "00000000" not in found


@pytest.mark.parametrize(
    "content",
    ["<Value>1e999</Value>", "<Value>" + "9" * 22 + "</Value>", "<Item/>", "<InlineBinary>!!</InlineBinary>"]
    + ["<BulkData/>", "<Value>nan</Value>", '<Value number="0">1</Value>'],
)
def test_xml_values_that_a_workitem_cannot_have(client: Client, content: str) -> None:
    client.post(f"{WORKITEMS}?1.2.3", json=workitem())
    attribute = f'<DicomAttribute tag="00280010" vr="US">{content}</DicomAttribute>'
    document = f"<NativeDicomModel>{attribute}</NativeDicomModel>"
    answer = client.post(
        f"{WORKITEMS}/1.2.3", content=document.encode(), headers={"Content-Type": "application/dicom+xml"}
    )
    assert answer.status_code == 400


def test_an_answer_of_a_search_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    large = element("SQ", *[code(str(number), "x" * 500) for number in range(50)])
    for number in range(6):
        client.post(f"{WORKITEMS}?1.2.{number}", json=workitem(_00404025=large))
    monkeypatch.setattr("ithil.archive.workitems_search.LARGEST_ANSWER", 100_000)
    uids: list[str] = []
    for _ in range(10):
        answer = client.get(f"{WORKITEMS}?offset={len(uids)}")
        assert len(answer.content) < 100_000
        uids += [one["00080018"]["Value"][0] for one in answer.json()]
        if "warning" not in answer.headers:
            break
        assert "additional results" in answer.headers["warning"]
    assert uids == [f"1.2.{number}" for number in range(6)]
