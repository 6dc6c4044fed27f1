"""Building the metadata of a study for DICOMweb ahead of the first client: `/studies/{id}/update-dicomweb-cache`."""

from __future__ import annotations

from ithil import error_codes as codes
from ithil.archive import series_documents
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.http import answers
from ithil.http.answers import Answer
from ithil.http.request import Request
from ithil.http.routing import Route


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route(
            "POST",
            "/studies/{id}/update-dicomweb-cache",
            update,
            "Build the DICOMweb metadata of the series of a study that is not there yet",
            writes=True,
            fails=(400,),
        )
    ]


def update(request: Request) -> Answer:
    """`POST /studies/{id}/update-dicomweb-cache`; answers when it is done.

    Raises CodedError: unknown resource; bad request if no metadata is kept.
    """
    archive = request.context.archive
    found = series_documents.series_of(archive, Level.STUDY, request.arguments["id"])
    if not found:
        raise CodedError(codes.UNKNOWN_RESOURCE)
    if not series_documents.is_kept(archive):
        raise CodedError(
            codes.BAD_REQUEST, 'No metadata is kept, since "DicomWeb.EnableMetadataCache" is false'
        )
    for one in found:
        series_documents.keep_expected(archive, one)
    return answers.done()
