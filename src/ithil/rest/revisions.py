"""The header `If-Match`: which version of a metadata or an attachment a change is based on.

Versions are Orthanc's entity tags, `"revision-md5"`, as GET and PUT answer them in `ETag` (RFC 9110 8.8.3). A
request names one of them at most.
"""

from __future__ import annotations

import re

from ithil import error_codes as codes
from ithil.archive.revisions import Version
from ithil.error_codes import CodedError
from ithil.http.request import Request

_ETAG = re.compile(r'"?([0-9]{1,18})-([^"]*)"?\Z')


def expected_version(request: Request) -> Version | None:
    """The version that `If-Match` names, None without that header.

    Raises CodedError (parameter out of range) for what is no entity tag of Orthanc's form.
    """
    header = request.headers.get("if-match")
    if header is None:
        return None
    found = _ETAG.match(header.strip())
    if found is None:
        raise CodedError(
            codes.PARAMETER_OUT_OF_RANGE,
            'The header "If-Match" must be an entity tag: the revision, a hyphen and the MD5',
        )
    return Version(int(found[1]), found[2])


def version_to_delete(request: Request) -> Version | None:
    """The same for a deletion, which `CheckRevisions` does not allow without it, whatever is there.

    Raises CodedError (revision, 409) as well.
    """
    version = expected_version(request)
    if version is None and request.context.settings.check_revisions:
        raise CodedError(codes.REVISION, 'The header "If-Match" is needed, as "CheckRevisions" is true')
    return version
