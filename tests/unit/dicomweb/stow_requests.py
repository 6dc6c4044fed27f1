"""Bodies of store requests, and what the answers to them say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from tests.unit.application import Client

STUDIES = "/dicom-web/studies"
DICOM = "application/dicom"
BOUNDARY = "b0undary"

CT_UIDS = (
    "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
    "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
)
"""Study, series and instance of `ct`."""

Part = bytes | tuple[Mapping[str, str], bytes]
"""A DICOM file, or headers and content."""


def body_of(
    parts: Sequence[Part], boundary: str = BOUNDARY, *, start: bytes = b"", end: bytes = b"\r\n"
) -> bytes:
    """A multipart body."""
    pieces = [start]
    for part in parts:
        headers, content = part if isinstance(part, tuple) else ({"Content-Type": DICOM}, part)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces.append(f"--{boundary}\r\n{lines}\r\n".encode() + content + b"\r\n")
    return b"".join(pieces) + f"--{boundary}--".encode() + end


def content_type(of: str = DICOM, boundary: str = BOUNDARY) -> str:
    """The Content-Type of such a body."""
    return f'multipart/related; type="{of}"; boundary={boundary}'


def stow(
    client: Client,
    *parts: Part,
    of: str = DICOM,
    url: str = STUDIES,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Store these parts."""
    return client.post(
        url, content=body_of(parts), headers={"Content-Type": content_type(of), **(headers or {})}
    )


def items(answer: httpx.Response, tag: str) -> list[dict[str, Any]]:
    """The items of a sequence of a response, [] if it is not there."""
    found: list[dict[str, Any]] = answer.json().get(tag, {}).get("Value", [])
    return found


def stored(answer: httpx.Response) -> list[str]:
    """The SOP Instance UIDs that were stored."""
    return [item["00081155"]["Value"][0] for item in items(answer, "00081199")]


def failed(answer: httpx.Response) -> dict[str, int]:
    """The failure reasons by SOP Instance UID."""
    return {item["00081155"]["Value"][0]: item["00081197"]["Value"][0] for item in items(answer, "00081198")}


def other_failures(answer: httpx.Response) -> list[int]:
    """The failure reasons of what has no name."""
    return [item["00081197"]["Value"][0] for item in items(answer, "0008119A")]


def count(client: Client) -> int:
    """How many instances the archive holds."""
    return int(client.get("/statistics").json()["CountInstances"])
