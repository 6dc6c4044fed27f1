"""Fuzz target for what reads the body of a store request: multipart, DICOM JSON, Native DICOM, composing.

    python -m tests.fuzz.fuzz_multipart --seconds 60

Uses atheris (coverage guided) where it is installed, and random mutation of valid bodies where it is not.
What may happen is written in `fuzz_one`; anything else is a finding, and the input that shows it is printed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson

from ithil.dicom import json_model, json_reader, xml_model, xml_reader
from ithil.dicom.dataset import Dataset
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.errors import DicomError
from ithil.dicom.related_reader import (
    MalformedMultipart,
    PartEnd,
    PartHead,
    RelatedReader,
    parse_media_type,
)
from ithil.dicom.uids import EXPLICIT_LITTLE
from ithil.dicomweb.stow_compose import BulkPart, compose
from tests.fuzz import course

BOUNDARY = "fuzz"
LIMITS = ScanLimits(maximum_depth=16, maximum_elements=10_000)
MEDIA_TYPES = ("application/octet-stream", "image/jpeg", "image/jp2", "image/jls", "video/mp4", "image/png")

Part = tuple[PartHead, bytes]


def fuzz_one(data: bytes) -> None:
    """Read `data` as a body, whose first byte says how it is cut.

    The parts do not depend on the cut, and their content is never more than came. A document is read, and then
    written again without an error, or refused with `DicomError`; so is the instance that it describes.
    """
    if len(data) < 2:
        return
    step, body = 1 + data[0], data[1:]
    parts, complete = _parts(body, len(body))
    assert _parts(body, step) == (parts, complete)
    assert sum(len(content) for _, content in parts) <= len(body)
    parse_media_type(body.decode("latin-1"))
    for content in [body, *(content for _, content in parts)]:
        _documents(content)


def _parts(body: bytes, step: int) -> tuple[list[Part], bool]:
    """The parts that are complete, and whether the body is."""
    reader = RelatedReader(BOUNDARY)
    parts: list[Part] = []
    head: PartHead | None = None
    content: list[bytes] = []
    try:
        for start in range(0, len(body), step):
            for event in reader.feed(body[start : start + step]):
                if isinstance(event, PartHead):
                    assert head is None, "a part begins in another one"
                    head, content = event, []
                    assert event.media_type.name == event.media_type.name.lower()
                elif isinstance(event, PartEnd):
                    assert head is not None, "a part ends that did not begin"
                    parts.append((head, b"".join(content)))
                    head = None
                else:
                    assert head is not None, "there is content outside of a part"
                    assert event, "a piece is empty"
                    content.append(event)
        reader.close()
    except MalformedMultipart:
        return parts, False
    assert head is None
    return parts, True


def _documents(content: bytes) -> None:
    found: list[dict[str, Any]] = []
    for load in (json_reader.load, xml_reader.load):
        try:
            found += load(content)
        except DicomError:
            continue
    for document in found[:10]:
        try:
            elements = json_reader.read(
                document, lambda uri, tag, vr: memoryview(content[:64]), LIMITS
            ).elements
        except DicomError:
            pass
        else:
            dataset = Dataset(elements, EXPLICIT_LITTLE)
            orjson.loads(json_model.to_json(dataset))
            xml_model.to_xml(dataset)
        for media_type in MEDIA_TYPES:
            _compose(document, content, media_type)


def _compose(document: dict[str, Any], content: bytes, media_type: str) -> None:
    part = BulkPart(media_type, "", 0, len(content))
    bulk = {"bulk": [part], "frames": [part, part]}
    try:
        size = sum(len(piece) for piece in compose(document, bulk, memoryview(content), LIMITS).pieces())
    except DicomError:
        return
    assert size >= 132


def seeds() -> list[bytes]:
    """Valid bodies and documents that mutation starts from, each behind its byte for the step."""
    pixels = b'"7FE00010":{"vr":"OW","BulkDataURI":"frames"}'
    document = (
        b'[{"00080016":{"vr":"UI","Value":["1.2"]},"00080018":{"vr":"UI","Value":["1.3"]},'
        b'"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]},'
        b'"00081140":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.4"]}}]},'
        b'"00280010":{"vr":"US","Value":[2]},"00280030":{"vr":"DS","Value":[0.5,"1.5"]},'
        b'"00420011":{"vr":"OB","BulkDataURI":"bulk"},"00091001":{"vr":"UN","InlineBinary":"AAEC"},'
        b'"00209165":{"vr":"AT","Value":["00100020"]},"00189087":{"vr":"FD","Value":["NaN",1e3]},'
        + pixels
        + b"}]"
    )
    dataset = Dataset(
        json_reader.read(orjson.loads(document)[0], lambda *_: memoryview(b"x")).elements, EXPLICIT_LITTLE
    )
    native = xml_model.to_xml(dataset)
    body = (
        b'preamble\r\n--fuzz\r\nContent-Type: application/dicom+json; charset="utf-8"\r\n\r\n'
        + document
        + b"\r\n--fuzz\r\nContent-Type: image/jpeg;\r\n transfer-syntax=1.2.840.10008.1.2.4.50\r\n"
        b"Content-Location: bulk\r\n\r\n"
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\x02\0\x02\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9"
        b"\r\n--fuzz  \r\n\r\n\r\n--fuzz--\r\nepilogue"
    )
    return [bytes([step]) + each for each in (body, document, native) for step in (0, 2, 255)]


def mutations(choice: random.Random) -> Iterator[bytes]:
    """Endless damaged bodies: bytes overwritten, parts cut out, doubled and put together, words swapped."""
    corpus = seeds()
    words = (
        b"\r\n--fuzz",
        b"--",
        b"\r\n\r\n",
        b"\r",
        b'"Value":[',
        b"null",
        b'"vr":"SQ"',
        b"1e999",
        b"</Item>",
        b'<Item number="2">',
        b"BulkDataURI",
        b"\xff\x4f\xff\x51",
        b"7FE00010",
        b"{",
        b"[",
        b'"frames"',
    )
    while True:
        raw = bytearray(choice.choice(corpus))
        for _ in range(choice.randint(1, 5)):
            at = choice.randrange(len(raw) + 1)
            match choice.randrange(5):
                case 0 if at < len(raw):
                    raw[at] = choice.randrange(256)
                case 1:
                    word = choice.choice(words)
                    raw[at : at + choice.choice((0, len(word)))] = word
                case 2:
                    del raw[at : at + choice.randint(1, 30)]
                case 3:
                    raw[at:at] = raw[at : at + choice.randint(1, 80)]
                case _:
                    raw[at:] = choice.choice(corpus)[choice.randrange(40) :]
        yield bytes(raw)


if __name__ == "__main__":
    course.main(__doc__, fuzz_one, mutations)
