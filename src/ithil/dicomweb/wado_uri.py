"""WADO-URI: one instance by the arguments of a query (PS3.18 9), as a picture or as a DICOM file.

As in Orthanc `objectUID` is enough; where the other UIDs are given, they must be right. Without `contentType`
the client gets what it can show: a picture of an image, the content of a document or a video, else the file.
"""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import find, pseudonyms, rendering, transcoding, uids
from ithil.archive.archive import Archive
from ithil.archive.matching import Equal
from ithil.archive.query import Constraint, Query
from ithil.archive.rendering import GIF, PICTURES, Kind, Subject, View
from ithil.dicom.level import Level
from ithil.dicom.main_tags import SOP_INSTANCE_UID
from ithil.dicomweb.rendered import (
    Wanted,
    check_frames,
    file_inside,
    inner_type,
    pictures,
    refusals,
)
from ithil.dicomweb.rendering_arguments import bad, decimal, whole_number
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.accept import MediaRange, parse_accept, preferred
from ithil.http.answers import Answer, FilePart
from ithil.http.request import Request
from ithil.http.routing import Parameter, Route
from ithil.pixels.image_formats import DEFAULT_QUALITY
from ithil.pixels.resize import MAXIMUM_SIDE
from ithil.pixels.viewport import Viewport

DICOM = "application/dicom"
_MOST_FRAMES = 999_999_999


def routes(path: str) -> list[Route]:
    """The only route, at the path that the configuration names."""
    return [
        Route(
            "GET",
            path,
            get_object,
            "WADO-URI: an instance as a picture or as a DICOM file",
            (
                Parameter("requestType", "WADO"),
                Parameter("studyUID", "Study Instance UID"),
                Parameter("seriesUID", "Series Instance UID"),
                Parameter("objectUID", "SOP Instance UID"),
                Parameter(
                    "contentType", "Media types, the best first: image/jpeg, image/png, image/gif, ..."
                ),
                Parameter("frameNumber", "Frame to show, from 1"),
                Parameter("rows", "Largest height of the picture, whose shape is kept"),
                Parameter("columns", "Largest width of the picture"),
                Parameter("region", "Left, top, right and bottom of the part to show, from 0 to 1"),
                Parameter("windowCenter", "Centre of the window, with windowWidth"),
                Parameter("windowWidth", "Width of the window, with windowCenter"),
                Parameter("imageQuality", "Quality of JPEG, from 1 to 100"),
                Parameter("presentationSeriesUID", "Series of the presentation state to apply"),
                Parameter("presentationUID", "Presentation state to apply"),
                Parameter("transferSyntax", "Transfer syntax of a DICOM file; as stored without it"),
                Parameter("anonymize", "yes for a DICOM file without what tells who the patient is"),
            ),
            cacheable=True,
            answers=(*PICTURES, DICOM),
            fails=(403, 404, 406),
            ranges=True,
        )
    ]


def get_object(request: Request) -> Answer:
    """`GET /wado`. Raises CodedError 400, 403, 404 or 406."""
    query, archive = request.query, request.context.archive
    if query.get("requestType") != "WADO":
        raise bad('The argument "requestType" must be WADO')
    subject = _subject(archive, query)
    anonymous = query.get("anonymize", "no")
    if anonymous not in ("yes", "no"):
        raise bad('The argument "anonymize" must be yes or no')
    media_type = _media_type(request, subject)
    with refusals():
        if media_type == DICOM:
            if anonymous == "yes":
                _check_pixels(archive, subject)
            return _file(request, subject, anonymous=anonymous == "yes")
        if subject.kind in (Kind.VIDEO, Kind.DOCUMENT):
            if anonymous == "yes":
                raise CodedError(codes.FORBIDDEN_ACCESS, "Videos and documents cannot be anonymised")
            return file_inside(request, subject, Wanted(media_type))
        numbers = [(whole_number(query, "frameNumber", 1, _MOST_FRAMES) or 1) - 1]
        check_frames(archive, subject, numbers)
        if media_type == GIF and "frameNumber" not in query and subject.kind is Kind.PICTURE:
            numbers = list(range(rendering.frame_count(archive, subject)))
        view = _view(archive, query, media_type)
        shown, numbers, view = rendering.presented(archive, subject, numbers, view)
        if anonymous == "yes":
            _check_pixels(archive, shown)
        return pictures(request, shown, numbers, view, Wanted(media_type))


def _check_pixels(archive: Archive, subject: Subject) -> None:
    """Raises CodedError (403) if what is drawn or sent tells who the patient is."""
    if rendering.burned_in(archive, subject):
        raise CodedError(codes.FORBIDDEN_ACCESS, "The pixels of this instance tell who the patient is")


def _subject(archive: Archive, query: dict[str, str]) -> Subject:
    study, series, instance = (query.get(name, "") for name in ("studyUID", "seriesUID", "objectUID"))
    if not instance:
        raise bad('The argument "objectUID" is missing')
    if study and series:
        found = uids.public_ids(archive, study, series, instance)
    else:
        wanted = [Constraint(SOP_INSTANCE_UID, Equal(instance), case_sensitive=True)]
        wanted += [Constraint(0x0020000D, Equal(study), case_sensitive=True)] if study else []
        wanted += [Constraint(0x0020000E, Equal(series), case_sensitive=True)] if series else []
        batches = find.ids(archive, Query(Level.INSTANCE, tuple(wanted), limit=1, open_files=False))
        found = next(batches, [])
    subject = rendering.subject_of(archive, found[0]) if found else None
    if subject is None:
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such object")
    return subject


def _media_type(request: Request, subject: Subject) -> str:
    """What the client gets. Raises CodedError (406) for types that it cannot be."""
    if subject.kind in (Kind.VIDEO, Kind.DOCUMENT):
        offered = [inner_type(subject), DICOM]
    elif subject.kind in (Kind.PICTURE, Kind.PRESENTATION):
        offered = [*PICTURES, DICOM]
    else:
        offered = [DICOM]
    wished = request.query.get("contentType")
    if wished:
        found = preferred(parse_accept(wished), offered)
        if found is None:
            raise CodedError(codes.NOT_ACCEPTABLE, f"This object can be had as {', '.join(offered)}")
        return found
    # Not all that ask without `contentType` say what they take; those that do not name it get what is usual.
    header = parse_accept(request.headers.get("accept", "")) or [MediaRange("*/*", {})]
    return preferred(header, offered) or offered[0]


def _view(archive: Archive, query: dict[str, str], media_type: str) -> View:
    center, width = (_number(query, name) for name in ("windowCenter", "windowWidth"))
    if (center is None) != (width is None):
        raise bad('The arguments "windowCenter" and "windowWidth" come together')
    if width is not None and width <= 0:
        raise bad('The argument "windowWidth" must be greater than 0')
    rows, columns = (whole_number(query, name, 1, MAXIMUM_SIDE) or 0 for name in ("rows", "columns"))
    region = _region(query.get("region"))
    viewport = None
    if rows or columns or region:
        left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
        viewport = Viewport(columns, rows, left, top, right - left, bottom - top, relative=True)
    return View(
        media_type=media_type,
        quality=whole_number(query, "imageQuality", 1, 100) or DEFAULT_QUALITY,
        viewport=viewport,
        center=center,
        width=width,
        state=_state(archive, query),
    )


def _number(query: dict[str, str], name: str) -> float | None:
    text = query.get(name)
    if text is None:
        return None
    number = decimal(text)
    if number is None:
        raise bad(f'The argument "{name}" must be a number')
    return number


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    numbers = [decimal(part) for part in text.split(",", 4)]
    corners = [number for number in numbers if number is not None and 0 <= number <= 1]
    if len(numbers) != 4 or len(corners) != 4 or corners[0] >= corners[2] or corners[1] >= corners[3]:
        raise bad('The argument "region" must be left, top, right and bottom, from 0 to 1')
    return corners[0], corners[1], corners[2], corners[3]


def _state(archive: Archive, query: dict[str, str]) -> Subject | None:
    """The presentation state that is to be applied. Raises CodedError 400 or 404."""
    series, instance = query.get("presentationSeriesUID", ""), query.get("presentationUID", "")
    if not series and not instance:
        return None
    if not series or not instance:
        raise bad('The arguments "presentationSeriesUID" and "presentationUID" come together')
    found = uids.public_ids(archive, query.get("studyUID", ""), series, instance)
    state = rendering.subject_of(archive, found[0]) if found else None
    if state is None or state.kind is not Kind.PRESENTATION:
        raise CodedError(codes.UNKNOWN_RESOURCE, "There is no such presentation state in the study")
    return state


def _file(request: Request, subject: Subject, *, anonymous: bool) -> Answer:
    """The DICOM file: as it is stored, in another transfer syntax, anonymised."""
    archive, file = request.context.archive, subject.file
    syntax = request.query.get("transferSyntax", "*")
    if syntax in ("*", subject.transfer_syntax):
        syntax = ""
    if syntax:
        transcoding.check(syntax)
    headers = answers.disposition(f"{subject.sop_instance}.dcm")
    if anonymous:
        headers = {"Cache-Control": "private, no-cache"}
        return Answer(
            pseudonyms.anonymised(archive, file, subject.sop_instance, syntax), DICOM, headers=headers
        )
    if not syntax:
        headers["ETag"] = tag = f'"{file.uuid}"'
        answer = Answer(FilePart(file, 0, file.uncompressed_size), DICOM, headers=headers)
        return answers.not_modified(request, tag) or answers.part_of(request, answer, tag)
    return Answer(transcoding.transcoded(archive, file, syntax), DICOM, headers=headers)
