"""Frames as arrays for programs: NumPy files of a frame, an instance or a series, and Matlab's text.

They are made while they are sent, a frame at a time. What is small is made at once, so that it can be kept for
the next who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ithil import error_codes as codes
from ithil.archive import frames, resources
from ithil.archive.archive import Archive
from ithil.archive.frames import StoredPixels
from ithil.archive.slices import ordered_instances
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer, Stream
from ithil.http.request import Request, boolean
from ithil.http.routing import Parameter, Route, Runs
from ithil.pixels import array_formats
from ithil.pixels.colour import to_rgb
from ithil.pixels.decode import Samples
from ithil.pixels.errors import PixelError
from ithil.pixels.render import modality_values
from ithil.rest.frames import check_frame, find_pixels, frame_number, not_decodable

KEPT_BYTES = 4 * 1024 * 1024
"""An array of at most that many bytes is made at once."""

_NUMPY = (
    Parameter("compress", "Answer with a ZIP, as numpy.savez_compressed makes it"),
    Parameter("rescale", "Turn grey values into those of the modality, as float32 (0 or 1; 1 without it)"),
)


def routes() -> list[Route]:
    """The routes of this module."""
    numpy = {
        "/instances/{id}/frames/{frame}/numpy": (get_frame_numpy, "A frame as a NumPy array"),
        "/instances/{id}/numpy": (get_instance_numpy, "All frames of the instance as a NumPy array"),
        "/series/{id}/numpy": (
            get_series_numpy,
            "All frames of the series, in the order of its slices, as a NumPy array",
        ),
    }
    matlab = {
        "/instances/{id}/frames/{frame}/matlab": "A frame as a matrix for Matlab",
        "/instances/{id}/matlab": "The first frame as a matrix for Matlab",
    }
    return [
        *(
            Route(
                "GET",
                path,
                handler,
                summary,
                _NUMPY,
                cacheable=True,
                runs=Runs.BY_CORE,
                answers=answers.BINARY,
                fails=(500,),
            )
            for path, (handler, summary) in numpy.items()
        ),
        *(
            Route(
                "GET",
                path,
                get_matlab,
                summary,
                cacheable=True,
                runs=Runs.BY_CORE,
                answers=answers.TEXT,
                fails=(500,),
            )
            for path, summary in matlab.items()
        ),
    ]


def get_frame_numpy(request: Request) -> Answer:
    """`GET /instances/{id}/frames/{frame}/numpy`: (rows, columns, samples)."""
    pixels = _decodable(request)
    frame = frame_number(request)
    if frame is None:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, 'The argument "frame" must be a number')
    check_frame(pixels, frame)
    return _numpy(request, [(pixels, frame)], outer=False)


def get_instance_numpy(request: Request) -> Answer:
    """`GET /instances/{id}/numpy`: (frames, rows, columns, samples)."""
    pixels = _decodable(request)
    return _numpy(request, [(pixels, frame) for frame in range(pixels.count)])


def get_series_numpy(request: Request) -> Answer:
    """`GET /series/{id}/numpy`: (frames, rows, columns, samples), all frames of all instances."""
    archive = request.context.archive
    series = resources.read(archive, Level.SERIES, request.arguments["id"])
    if series is None:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    wanted: list[tuple[StoredPixels, int]] = []
    try:
        for instance in ordered_instances(archive, series.children):
            pixels = frames.pixels_of(archive, instance)
            if pixels is not None:
                wanted += [(pixels, frame) for frame in range(pixels.count)]
    except PixelError as error:
        raise not_decodable(error) from error
    return _numpy(request, wanted)


def get_matlab(request: Request) -> Answer:
    """`GET /instances/{id}/matlab` and `GET /instances/{id}/frames/{frame}/matlab`."""
    pixels = _decodable(request)
    frame = frame_number(request)
    if frame is None:
        return answers.missing()
    check_frame(pixels, frame)
    try:
        samples = _shown(pixels, frames.decoded(request.context.archive, pixels, frame))
    except PixelError as error:
        raise not_decodable(error) from error
    pieces = array_formats.matlab_pieces(samples)
    if samples.nbytes > KEPT_BYTES:
        return Answer(Stream(pieces), answers.TEXT)
    return Answer(b"".join(pieces), answers.TEXT)


def _decodable(request: Request) -> StoredPixels:
    try:
        return find_pixels(request)
    except PixelError as error:
        raise not_decodable(error) from error


def _numpy(request: Request, wanted: Sequence[tuple[StoredPixels, int]], *, outer: bool = True) -> Answer:
    compress, rescale = boolean(request.query, "compress"), boolean(request.query, "rescale", True)
    if not wanted:
        raise CodedError(codes.NOT_IMPLEMENTED, "There are no frames")
    first = wanted[0][0].description
    shapes = {(p.description.rows, p.description.columns, _samples_of(p)) for p, _ in wanted}
    if len(shapes) > 1:
        raise CodedError(codes.INCOMPATIBLE_IMAGE_SIZE, "The size of the frames varies")
    types = {_type_of(p, rescale=rescale) for p, _ in wanted}
    if len(types) > 1:
        raise CodedError(codes.INCOMPATIBLE_IMAGE_FORMAT, "The type of the frames varies")
    dtype = types.pop()
    inner = (first.rows, first.columns, _samples_of(wanted[0][0]))
    shape = (len(wanted), *inner) if outer else inner
    made = _frames(request.context.archive, wanted, dtype, rescale=rescale)
    pieces = array_formats.numpy_pieces(dtype, shape, made)
    size = int(np.prod(inner)) * dtype.itemsize * len(wanted) + len(array_formats.numpy_header(dtype, shape))
    if compress:
        body = Stream(array_formats.zipped(pieces))
    else:
        body = Stream(pieces, size)
    return Answer(b"".join(body.pieces) if size <= KEPT_BYTES else body, answers.BINARY)


def _frames(
    archive: Archive,
    wanted: Sequence[tuple[StoredPixels, int]],
    dtype: np.dtype[np.generic],
    *,
    rescale: bool,
) -> Iterator[Samples]:
    try:
        for pixels, frame in wanted:
            samples = frames.decoded(archive, pixels, frame)
            description = pixels.description
            if rescale and description.is_monochrome and description.bits_allocated > 1:
                yield modality_values(description, samples, frame)
            else:
                yield _shown(pixels, samples).astype(dtype, copy=False)
    except PixelError as error:
        raise not_decodable(error) from error


def _shown(pixels: StoredPixels, samples: Samples) -> Samples:
    """Grey values as they are stored, one bit as 0 and 255, colour as RGB."""
    description = pixels.description
    if not description.is_monochrome:
        return to_rgb(description, samples)
    return samples * np.uint8(255) if description.bits_allocated == 1 else samples


def _samples_of(pixels: StoredPixels) -> int:
    return 1 if pixels.description.is_monochrome else 3


def _type_of(pixels: StoredPixels, *, rescale: bool) -> np.dtype[np.generic]:
    """The type of the array's numbers."""
    description = pixels.description
    if description.palettes is not None:
        return np.dtype("u1")
    if description.samples == 1 and rescale:
        return np.dtype("f4")
    if description.kind != "integer":
        return np.dtype(f"f{description.bits_allocated // 8}")
    return np.dtype(f"{'i' if description.signed else 'u'}{max(description.bits_allocated // 8, 1)}")
