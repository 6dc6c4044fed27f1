"""How fast pictures come by WADO-RS: frames as viewers load them, and rendered images.

Eight connections, frames with the header `Accept` that cornerstone sends. The frame of the first answer
is compared with the pixels that were stored, byte for byte.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from benchmarks import upload
from benchmarks.dicomweb_answers import Client, instance_path, rate
from benchmarks.figures import Figure, Target
from benchmarks.servers import Server, ServerFailed
from benchmarks.template import Address

if TYPE_CHECKING:
    from benchmarks.workloads import Bench

FRAMES = 500
_SIDE = 512  # rows and columns of the object with many frames, of 8 bits each
_MANY = Address(8, 0, 0, 0)
_INSTANCES = 100
_URLS = 50_000  # more than any server answers while it is measured
_STEP = 79  # from one frame to the next one that is asked for
_LIMIT = 180.0  # seconds
_FRAME = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
_JPEG = {"Accept": "image/jpeg"}


def figures() -> tuple[Figure, ...]:
    """The figures."""
    return (
        Figure("frame-one", "One frame of 524 KB again and again, 8 connections", "/s", Target(4)),
        Figure("frame-100", "100 frames of 524 KB in turn, 8 connections", "/s", Target(4)),
        Figure("frame-of-500", "Frames of an object of 500 (131 MB), 8 connections", "/s", Target(4)),
        Figure("rendered", "rendered, 512 x 512, asked before, 8 connections", "/s", Target(2)),
        Figure("new-rendered", "rendered, 512 x 512, a new window each time, 8 connections", "/s", Target(2)),
    )


def measure(server: Server, bench: Bench, wanted: frozenset[str]) -> dict[str, float]:
    """Store images and look at them. Raises ServerFailed, SendFailed."""
    large = bench.sets.large
    upload.upload_folder(server.http_port, large.folder, limit=_LIMIT)
    stored = large.count
    if "frame-of-500" in wanted:
        upload.upload_folder(server.http_port, _written(bench.scratch / "many-frames"), limit=_LIMIT)
        stored += 1
    if server.instances() != stored:
        raise ServerFailed(f"{server.kind.title} does not hold the {stored} instances it was sent")
    step = max(1, large.count // _INSTANCES)
    images = [instance_path(address) for address in large.addresses[::step][:_INSTANCES]]
    many = instance_path(_MANY)
    turns: dict[str, tuple[list[str], dict[str, str], Callable[[bytes], bool]]] = {
        "frame-one": ([f"{images[0]}/frames/1"], _FRAME, _first_pixels_of(large.folder)),
        "frame-100": ([f"{path}/frames/1" for path in images], _FRAME, _first_pixels_of(large.folder)),
        "frame-of-500": (
            [f"{many}/frames/{number * _STEP % FRAMES + 1}" for number in range(FRAMES)],
            _FRAME,
            lambda body: _frame(0) in body,
        ),
        "rendered": ([f"{path}/rendered" for path in images], _JPEG, _is_jpeg),
        "new-rendered": ([_windowed(images, number) for number in range(_URLS)], _JPEG, _is_jpeg),
    }
    values = {}
    for name, (paths, headers, good) in turns.items():
        if name not in wanted:
            continue
        client = Client(server)
        if not good(client.ask(paths[0], headers).body):
            raise ServerFailed(f"{server.kind.title} answered {paths[0]} with another picture")
        one = client.ask(paths[1 % len(paths)], headers).seconds
        values[name] = rate(server, bench, paths, headers, one=one)
    return values


def _windowed(images: list[str], number: int) -> str:
    return (
        f"{images[number % len(images)]}/rendered?window={1000 + number // 200},{100 + number % 200},linear"
    )


def _is_jpeg(body: bytes) -> bool:
    return body.startswith(b"\xff\xd8") and body.endswith(b"\xff\xd9") and len(body) > _SIDE * _SIDE // 50


def _first_pixels_of(folder: Path) -> Callable[[bytes], bool]:
    """Whether an answer holds the pixels of the set; all its instances have the same."""
    content = next(folder.rglob("*.dcm")).read_bytes()
    pixels = content[-_SIDE * _SIDE * 2 :]
    return lambda body: pixels in body


def _frame(number: int) -> bytes:
    """The pixels of a frame: noise, other than that of any other frame."""
    return random.Random(number).randbytes(_SIDE * _SIDE)


def _written(folder: Path) -> Path:
    """The folder with the object of many frames."""
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "many.dcm").write_bytes(_many_frames())
    return folder


def _many_frames() -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = _MANY.sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.1"
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    header: dict[str, object] = {
        "SOPClassUID": UltrasoundMultiFrameImageStorage,
        "SOPInstanceUID": _MANY.sop_uid,
        "StudyInstanceUID": _MANY.study_uid,
        "SeriesInstanceUID": _MANY.series_uid,
        "PatientID": _MANY.patient_id,
        "PatientName": "BENCH^FRAMES",
        "StudyDate": "20240501",
        "Modality": "US",
        "InstanceNumber": "1",
        "NumberOfFrames": str(FRAMES),
        "FrameTime": "33",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": _SIDE,
        "Columns": _SIDE,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
    }
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = b"".join(_frame(number) for number in range(FRAMES))
    dataset["PixelData"].VR = "OB"
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
