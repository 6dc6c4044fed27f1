"""Instances that the tests of pictures store: images, presentation states, videos, documents."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian
from tests.unit.application import Client

ROOT = "/dicom-web"
STUDY, SERIES = "1.2.3", "1.2.3.4"
CT, GSPS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.11.1"
PDF, CDA, STL = (f"1.2.840.10008.5.1.4.1.1.104.{number}" for number in (1, 2, 3))
SR, ECG = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.9.1.1"
VIDEO, MPEG4 = "1.2.840.10008.5.1.4.1.1.77.1.1.1", "1.2.840.10008.1.2.4.102"


def instance(
    sop_class: str,
    uid: str,
    values: Mapping[str, object],
    *,
    series: str = SERIES,
    study: str = STUDY,
    syntax: str = ExplicitVRLittleEndian,
) -> bytes:
    """A file with these elements, by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.PatientID = "P1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = study, series, uid
    dataset.SOPClassUID = sop_class
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def image(pixels: NDArray[np.unsignedinteger], uid: str = "1.2.3.4.5", **more: object) -> bytes:
    """A grey image of 8 or 16 bits: (rows, columns) or (frames, rows, columns)."""
    bits = 8 * pixels.dtype.itemsize
    values: dict[str, object] = {
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "WindowCenter": more.pop("WindowCenter", 128),
        "WindowWidth": more.pop("WindowWidth", 256),
        "PixelData": pixels.tobytes(),
    }
    if pixels.ndim == 3:
        values["NumberOfFrames"] = len(pixels)
    places = {name: str(more.pop(name)) for name in ("series", "study") if name in more}
    return instance(CT, uid, {**values, **more}, **places)


def ramp(rows: int = 32, columns: int = 64) -> NDArray[np.uint8]:
    """Shades from black on the left to white on the right, a little darker from row to row."""
    down, across = np.ogrid[:rows, :columns]
    return np.clip(across * 255 // (columns - 1) - down, 0, 255).astype(np.uint8)


def video(content: bytes, fragments: int = 1) -> bytes:
    """A video in so many fragments."""
    size = -(-len(content) // fragments)
    size += size % 2
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    values: dict[str, object] = {
        "Rows": 480,
        "Columns": 640,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_PARTIAL_420",
        "PlanarConfiguration": 0,
        "NumberOfFrames": 25,
        "PixelData": encapsulate(parts, has_bot=False),
    }
    return instance(VIDEO, "1.2.3.4.9", values, syntax=MPEG4)


def document(sop_class: str, content: bytes, media_type: str, uid: str = "1.2.3.4.8") -> bytes:
    """An encapsulated document."""
    values = {
        "MIMETypeOfEncapsulatedDocument": media_type,
        "EncapsulatedDocument": content + b"\0" * (len(content) % 2),
        "EncapsulatedDocumentLength": len(content),
    }
    return instance(sop_class, uid, values)


def presentation(of: str = "1.2.3.4.5", series: str = SERIES, **values: object) -> bytes:
    """A presentation state for one image, in a series of its own."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, of
    in_series = Dataset()
    in_series.SeriesInstanceUID, in_series.ReferencedImageSequence = series, Items([reference])
    given: dict[str, object] = {
        "Modality": "PR",
        "ReferencedSeriesSequence": Items([in_series]),
        "PresentationLUTShape": "IDENTITY",
    }
    return instance(GSPS, "1.2.3.7.1", {**given, **values}, series="1.2.3.7")


def item(**values: object) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def items(*given: Dataset) -> Items:
    """A sequence."""
    return Items(given)


def store(client: Client, *files: bytes) -> None:
    """Upload files."""
    for content in files:
        assert client.post("/instances", content=content).status_code == 200


def path(uid: str = "1.2.3.4.5", series: str = SERIES, study: str = STUDY) -> str:
    """The path of an instance."""
    return f"{ROOT}/studies/{study}/series/{series}/instances/{uid}"


def shown(content: bytes) -> NDArray[np.uint8]:
    """The pixels of a picture."""
    return np.asarray(Image.open(io.BytesIO(content)))


def parts_of(content: bytes, content_type: str) -> Sequence[tuple[str, bytes]]:
    """Media type and content of each part of a multipart answer."""
    boundary = content_type.rpartition("boundary=")[2].strip('"').encode()
    found = []
    for piece in content.split(b"--" + boundary)[1:-1]:
        head, _, body = piece.partition(b"\r\n\r\n")
        kind = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Type: "))
        found.append((kind.decode().removeprefix("Content-Type: "), body.removesuffix(b"\r\n")))
    return found


def files_of(client: Client) -> list[Path]:
    """The files in the storage of a server."""
    root = client.app.context.archive.storage.root
    return [file for file in root.rglob("*") if file.is_file() and len(file.name) == 36]


def lose(client: Client, file: Path, damage: str) -> bytes:
    """Take a stored file away, or all but its beginning; what it was."""
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2])
    archive = client.app.context.archive
    archive.cache.drop(file.name)
    return content
