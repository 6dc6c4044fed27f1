"""Instances as people see them: pictures of frames, videos, documents, and small pictures of anything.

What an instance is follows from the index alone. A picture costs milliseconds, so its bytes are kept beside the
decoded frames (`DicomParserCacheSize`), by file, frame and the way it is shown; requests for the same one that
come together share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum

import sqlalchemy as sa

from ithil.archive import documents, frames, headers, uids
from ithil.archive.archive import Archive
from ithil.archive.errors import FileCorrupted
from ithil.archive.index import tables as t
from ithil.archive.index.read import DICOM_FILE_COLUMNS
from ithil.archive.index.statement import Statement
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.dataset import Dataset
from ithil.dicom.errors import DicomError
from ithil.dicom.uids import transfer_syntax
from ithil.pixels import gif, icons, image_formats, presentation, render, resize, viewport
from ithil.pixels.description import PixelDescription, Reader
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.image_formats import JPEG, PNG
from ithil.pixels.presentation import PresentationState
from ithil.pixels.render import Picture
from ithil.pixels.syntaxes import is_video
from ithil.pixels.viewport import Viewport

GIF = "image/gif"
PICTURES = (JPEG, PNG, GIF)
"""The media types that pictures are made in, the usual one first."""

VERSION = 1
"""Part of the entity tags of pictures: another number when the same request gives other bytes."""

MOST_FRAMES = 1000
"""Frames of the longest animation."""

MOST_PIXELS = 1 << 28
"""Pixels of all frames of an animation, as they are shown."""

_USUAL_DELAY = 100.0  # milliseconds
_COPIES = 4  # of a picture, in memory while its file is made
_FRAME_TIME, _CINE_RATE, _DISPLAY_RATE = 0x00181063, 0x00180040, 0x00082144

_i = t.instances.c
_SUBJECT = Statement(
    sa.select(
        _i.sop_class_uid,
        _i.sop_instance_uid,
        _i.transfer_syntax_uid,
        _i.pixel_data_offset,
        *DICOM_FILE_COLUMNS,
    ).where(_i.public_id == sa.bindparam("public_id"))
)


class Kind(Enum):
    """What can be made of an instance."""

    PICTURE = "picture"
    VIDEO = "video"
    DOCUMENT = "document"
    PRESENTATION = "presentation"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Subject:
    """An instance that is to be shown."""

    id: str
    kind: Kind
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    pixel_data_offset: int | None
    file: Attachment


@dataclass(frozen=True, slots=True)
class View:
    """How a frame is to be shown; what is None or 0 is as the instance has it.

    `center`, `width` and `function` are a window (PS3.3 C.11.2) in units of the modality; `state` is a
    presentation state.
    """

    media_type: str = JPEG
    quality: int = image_formats.DEFAULT_QUALITY
    viewport: Viewport | None = None
    center: float | None = None
    width: float | None = None
    function: str | None = None
    state: Subject | None = None


def subject_of(archive: Archive, instance_id: str) -> Subject | None:
    """What an instance is; None if it is unknown."""
    with archive.index.read() as session:
        row = session.one(_SUBJECT, {"public_id": instance_id})
    if row is None:
        return None
    sop_class, sop_instance, syntax, offset = row[:4]
    kind = _kind(sop_class, syntax, has_pixels=offset is not None)
    return Subject(
        instance_id, kind, sop_class, sop_instance, syntax, offset, Attachment(DICOM_FILE, *row[4:])
    )


def _kind(sop_class: str, syntax: str, *, has_pixels: bool) -> Kind:
    if has_pixels:
        return Kind.VIDEO if is_video(syntax) else Kind.PICTURE
    if documents.media_type(sop_class) is not None:
        return Kind.DOCUMENT
    if sop_class in presentation.SOP_CLASSES:
        return Kind.PRESENTATION
    # Only inflating a deflated data set tells what is in it.
    return Kind.PICTURE if transfer_syntax(syntax).deflated else Kind.OTHER


def frame_count(archive: Archive, subject: Subject) -> int:
    """How many frames of an instance there are to be shown. Raises PixelError, and what reading raises."""
    return _pixels(archive, subject).count


def _pixels(archive: Archive, subject: Subject) -> frames.StoredPixels:
    pixels = frames.pixels_of(archive, subject.id)
    if pixels is None or pixels.file.uuid != subject.file.uuid:
        raise PixelError("The instance was deleted or replaced meanwhile")
    return pixels


def presented(
    archive: Archive, subject: Subject, numbers: Sequence[int], view: View
) -> tuple[Subject, list[int], View]:
    """What is drawn: the image, its frames counted from 0, and the view that applies a presentation state.

    A presentation state shows the first image that it is for and that is stored; the numbers are of that
    image's frames, 0 is the first that the state names. All else shows itself. Raises UnsupportedPixels if
    there is no such image, PixelError for a state that cannot be read, and what reading a file raises.
    """
    if subject.kind is not Kind.PRESENTATION:
        return subject, list(numbers), view
    state = PresentationState(_header(archive, subject))
    for reference in state.references():
        for found in uids.public_ids(archive, state.study, reference.series, reference.instance)[:1]:
            image = subject_of(archive, found)
            if image is not None and image.kind is Kind.PICTURE:
                first = max(reference.frames[0] - 1, 0) if reference.frames else 0
                return image, [number or first for number in numbers], replace(view, state=subject)
    raise UnsupportedPixels("None of the images that the presentation state is for is stored here")


def picture(archive: Archive, subject: Subject, frame: int, view: View) -> bytes:
    """A frame of an image, counted from 0, as a file of `view.media_type`.

    Raises PixelError for what cannot be shown, OutsideOfImage and TooLarge for a viewport that cannot be, and
    what reading a file raises.
    """

    def make() -> bytes:
        with _drawn(archive, subject, frame, view) as shown:
            return encoded(shown, view)

    return _kept(archive, (subject.file.uuid, frame, view), make)


def _kept(archive: Archive, key: object, encode: Callable[[], bytes]) -> bytes:
    def make() -> tuple[bytes, int]:
        content = encode()
        return content, len(content) + 500

    return frames.shared(archive, ("picture", key), make)


def encoded(shown: Picture, view: View) -> bytes:
    """A picture as a file. Raises PixelError for one that is too large for its format."""
    if view.media_type == GIF:
        return gif.still(shown)
    return image_formats.encode(shown, view.media_type, view.quality)


@contextmanager
def _drawn(archive: Archive, subject: Subject, frame: int, view: View) -> Iterator[Picture]:
    """A frame as it is shown, with memory for that and for its file, which is to be made meanwhile."""
    pixels = _pixels(archive, subject)
    size = frames.bytes_to_show(pixels) + _bytes_to_encode(pixels.description, view)
    samples = frames.decoded(archive, pixels, frame)
    description = pixels.description
    state = None if view.state is None else PresentationState(_header(archive, view.state))
    if state is not None:
        description = state.applied(description, subject.sop_instance, frame)
    with frames.room_for(archive, size):
        shown = render.rendered(
            description,
            samples,
            frame,
            center=view.center,
            width=view.width,
            function=view.function,
            standard=True,
        )
        if state is not None:
            shown = state.finished(shown, subject.sop_instance, frame)
        yield shown if view.viewport is None else viewport.show(shown, view.viewport)


def _bytes_to_encode(description: PixelDescription, view: View) -> int:
    """Memory for a picture in the size that it is shown in, and for its file.

    Raises OutsideOfImage and TooLarge before anything is decoded, where the header tells.
    """
    pixels = description.pixels
    if view.viewport is not None and view.state is None:
        rows, columns = viewport.size_of(description.rows, description.columns, view.viewport)
        pixels = rows * columns
    elif view.viewport is not None:  # a state may show a part of the image, or turn it
        pixels = viewport.most_pixels(pixels, view.viewport)
    colour = description.samples > 1 or description.palettes is not None or view.state is not None
    return pixels * (3 if colour else 1) * _COPIES


def _header(archive: Archive, subject: Subject) -> Dataset:
    try:
        return headers.read(archive, subject.file, subject.pixel_data_offset)
    except DicomError as error:
        raise PixelError(str(error)) from error


def has_graphics(archive: Archive, state: Subject) -> bool:
    """Whether a presentation state has texts and shapes, which are not drawn."""
    try:
        return PresentationState(_header(archive, state)).has_graphics
    except PixelError:
        return False


def animation(archive: Archive, subject: Subject, numbers: Sequence[int], view: View) -> Iterator[bytes]:
    """Several frames, counted from 0, as the pieces of an animated GIF, each made when it is asked for.

    The first is made at once, so that what cannot be shown is told before the answer begins: PixelError,
    TooMuch, OutsideOfImage.
    """
    if len(numbers) > MOST_FRAMES:
        raise TooMuch(f"An animation has at most {MOST_FRAMES} frames")
    delay = round(_delay(archive, subject) / 10)
    with _drawn(archive, subject, numbers[0], view) as shown:
        if shown.shape[0] * shown.shape[1] * len(numbers) > MOST_PIXELS:
            raise TooMuch("The animation would be too large; ask for fewer frames or a smaller viewport")
        first = gif.beginning(shown) + gif.frame(shown, delay)
    return _frames_of_animation(archive, subject, numbers[1:], view, first, delay)


def _frames_of_animation(
    archive: Archive, subject: Subject, numbers: Sequence[int], view: View, first: bytes, delay: int
) -> Iterator[bytes]:
    yield first
    for number in numbers:
        with _drawn(archive, subject, number, view) as shown:
            piece = gif.frame(shown, delay)
        yield piece  # now, since a client may be slow, and others wait for the memory
    yield gif.END


class TooMuch(PixelError):
    """More than is made in one answer."""


def _delay(archive: Archive, subject: Subject) -> float:
    """Milliseconds that a frame is shown (PS3.3 C.7.6.5)."""
    reader = Reader(_header(archive, subject).elements, "<")
    time = reader.one_float(_FRAME_TIME, 0.0)
    rate = reader.one_float(_DISPLAY_RATE, 0.0) or reader.one_float(_CINE_RATE, 0.0)
    if time <= 0 and rate > 0:
        time = 1000.0 / rate
    return min(time, 10_000.0) if time > 0 else _USUAL_DELAY


def thumbnail(archive: Archive, subject: Subject, frame: int | None, view: View) -> bytes:
    """A small picture of an instance: of one frame, of the middle one, or an icon if there is no picture.

    Raises only what reading a file raises, and OutsideOfImage and TooLarge for a viewport that cannot be.
    """
    if subject.kind is Kind.PICTURE:
        try:
            number = frame_count(archive, subject) // 2 if frame is None else frame
            return picture(archive, subject, number, view)
        except (viewport.OutsideOfImage, resize.TooLarge):
            raise
        except PixelError as error:
            if archive.storage.size(subject.file.uuid) != subject.file.compressed_size:
                raise FileCorrupted("A stored file has not the size that the index remembers") from error
    return icon(archive, subject, view)


def icon(archive: Archive, subject: Subject, view: View) -> bytes:
    """What stands for an instance that has no picture, or none that can be shown.

    It is a square that fits into the viewport. Raises TooLarge for one that cannot be.
    """
    kind = _icon(subject)
    room = view.viewport or Viewport()
    box = Viewport(room.width, room.height)

    def make() -> bytes:
        drawn = icons.icon(kind)
        rows, columns = viewport.size_of(drawn.shape[0], drawn.shape[1], box)
        with frames.room_for(archive, rows * columns * 3 * _COPIES):
            return encoded(viewport.show(drawn, box), view)

    return _kept(archive, ("icon", kind, view), make)


def _icon(subject: Subject) -> str:
    if subject.kind is Kind.VIDEO:
        return icons.VIDEO
    if subject.kind is Kind.DOCUMENT:
        is_text = documents.media_type(subject.sop_class) in ("application/pdf", "text/xml")
        return icons.DOCUMENT if is_text else icons.MODEL
    if subject.sop_class.startswith(("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.481.")):
        return icons.DOCUMENT
    if subject.sop_class.startswith("1.2.840.10008.5.1.4.1.1.9."):
        return icons.SIGNAL
    return icons.UNKNOWN


def burned_in(archive: Archive, subject: Subject) -> bool:
    """Whether the pixels tell who the patient is, as far as the header says (PS3.3 C.7.6.1.1.7)."""
    reader = Reader(_header(archive, subject).elements, "<")
    return reader.text(0x00280301).upper() == "YES"
