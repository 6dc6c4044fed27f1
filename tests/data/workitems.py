"""Workitems for tests: DICOM JSON that a scheduler would send, and what a performer adds to it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def element(vr: str, *values: Any) -> Json:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def code(value: str, meaning: str = "A meaning") -> Json:
    return {
        "00080100": element("SH", value),
        "00080102": element("SH", "99TEST"),
        "00080104": element("LO", meaning),
    }


def workitem(**changes: Json | None) -> Json:
    """A workitem as it is created; `changes` by tag with a letter before it, None leaves an attribute out."""
    found: Json = {
        "00081080": element("LO"),
        "00081084": element("SQ"),
        "00100010": element("PN", {"Alphabetic": "Müller^Anna"}),
        "00100020": element("LO", "P1"),
        "00100021": element("LO"),
        "00100024": element("SQ"),
        "00100030": element("DA", "19700101"),
        "00100040": element("CS", "F"),
        "00101002": element("SQ"),
        "00380010": element("LO"),
        "00380014": element("SQ"),
        "00400400": element("LT", "Take care"),
        "00404005": element("DT", "20260131093000"),
        "00404018": element("SQ", code("110013")),
        "00404021": element("SQ"),
        "00404025": element("SQ"),
        "00404026": element("SQ"),
        "00404027": element("SQ"),
        "00404041": element("CS", "READY"),
        "0040A370": element("SQ"),
        "00741000": element("CS", "SCHEDULED"),
        "00741002": element("SQ"),
        "00741200": element("CS", "MEDIUM"),
        "00741202": element("LO", "Contours"),
        "00741204": element("LO", "Contour the liver"),
        "00741210": element("SQ"),
        "00741216": element("SQ"),
    }
    for name, value in changes.items():
        if value is None:
            del found[name[1:]]
        else:
            found[name[1:]] = value
    return found


def performed() -> Json:
    """What must be known of a workitem before it can be completed."""
    return {
        "00741216": element(
            "SQ",
            {
                "00404019": element("SQ", code("110013")),
                "00404028": element("SQ", code("WS1")),
                "00404033": element("SQ", {"0020000D": element("UI", "1.2.3")}),
                "00404050": element("DT", "20260131100000"),
                "00404051": element("DT", "20260131103000"),
            },
        )
    }


def canceled() -> Json:
    """What must be known of a workitem before it can be canceled."""
    item = {"00404052": element("DT", "20260131100000"), "0074100E": element("SQ", code("110513"))}
    return {"00741002": element("SQ", item)}
