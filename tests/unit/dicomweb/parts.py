"""Paths of instances in DICOMweb, and the parts of its answers, read as strictly as viewers read them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pydicom
from httpx import Response

ROOT = "/dicom-web"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer; header names as they are spelled."""

    headers: dict[str, str]
    content: bytes


def instance_path(content: bytes) -> str:
    """The address of a file's instance below the server."""
    ds = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
    return f"{ROOT}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def parts_of(answer: Response) -> list[Part]:
    """The parts of a `multipart/related` answer. Raises AssertionError for what a strict reader trips over."""
    content_type = answer.headers["content-type"]
    assert content_type.startswith('multipart/related; type="'), content_type
    boundary = content_type.rpartition("boundary=")[2].encode()
    assert boundary.isalnum()
    body = answer.content
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    inner = body[len(boundary) + 4 : -(len(boundary) + 8)]
    return [_part(piece) for piece in inner.split(b"\r\n--" + boundary + b"\r\n")]


def _part(piece: bytes) -> Part:
    head, _, content = piece.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n"))
    assert int(headers["Content-Length"]) == len(content)
    return Part(headers, content)
