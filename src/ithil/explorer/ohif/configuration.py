"""What the server tells the viewer: `app-config.js`, and the paths under which a browser sees both.

All addresses are paths of this server, so that the viewer's requests have the same origin as its page: they
carry the credentials of the browser, and need no permission of CORS.
"""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from ithil.http.public_address import public_address
from ithil.http.request import Request
from ithil.settings import Settings

MOUNT = "/ohif/"
"""The path at which this server has the viewer, whatever a proxy makes of it."""

LONGEST_USER_CONFIGURATION = 1 << 20

log = logging.getLogger(__name__)

_DATA_SOURCE = "@ohif/extension-default.dataSourcesModule.dicomweb"


def base_path(request: Request) -> str:
    """The path of the viewer as the browser sees it, with a slash at both ends.

    `OHIF.RouterBasename` names it for proxies that do not tell; otherwise it is below what they tell.
    """
    named = _with_slashes(request.context.settings.ohif.router_basename)
    return named if named != MOUNT else _prefix(request) + MOUNT


def script(request: Request) -> bytes:
    """`app-config.js`: what follows from the settings, and on top of it what the operator's file says.

    The file is a script that sets `window.config`, as for OHIF itself. What it sets wins, but for the path.
    """
    settings = request.context.settings
    served = _json(configuration(settings, _prefix(request), base_path(request)))
    if settings.ohif.user_configuration is None:
        return b"window.config = " + served + b";\n"
    own = _user_configuration(settings.ohif.user_configuration)
    return b"".join(
        (
            b"window.ithilConfig = " + served + b";\n",
            b"window.config = { ...window.ithilConfig };\n",
            own,
            b"\nwindow.config = { ...window.ithilConfig, ...window.config, "
            b"routerBasename: window.ithilConfig.routerBasename };\n",
        )
    )


def configuration(settings: Settings, prefix: str, base: str) -> dict[str, object]:
    """The configuration of the viewer as an object; `prefix` is what a proxy puts before all paths."""
    web = settings.dicom_web
    dicomweb = (
        _with_slashes(web.public_root) if web.public_root is not None else prefix + _with_slashes(web.root)
    ).rstrip("/")
    return {
        "name": "config/ithil.js",
        "routerBasename": base.rstrip("/") or "/",
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 3,
        "showWarningMessageForCrossOrigin": True,
        "showCPUFallbackMessage": True,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "groupEnabledModesFirst": True,
        "maxNumRequests": {"interaction": 100, "thumbnail": 25, "prefetch": 25},
        "showErrorDetails": "production",
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": _DATA_SOURCE,
                "sourceName": "dicomweb",
                "configuration": {
                    "friendlyName": settings.name,
                    "name": "ithil",
                    "qidoRoot": dicomweb,
                    "wadoRoot": dicomweb,
                    "wadoUriRoot": prefix + "/" + web.wado_root.strip("/"),
                    "qidoSupportsIncludeField": True,
                    "supportsFuzzyMatching": True,
                    "supportsWildcard": True,
                    "supportsStow": not settings.read_only,
                    "supportsReject": not settings.read_only,
                    "dicomUploadEnabled": not settings.read_only,
                    "imageRendering": "wadors",
                    "thumbnailRendering": "thumbnail",
                    "thumbnailRequestStrategy": "fetch",
                    "enableStudyLazyLoad": True,
                    # Videos are streamed from their address. Documents are not: framed in an isolated page, they
                    # would have to be isolated themselves, so the viewer fetches and shows them.
                    "singlepart": "bulkdata,video",
                    "bulkDataURI": {"enabled": True},
                    "omitQuotationForMultipartRequest": True,
                },
            }
        ],
    }


def _prefix(request: Request) -> str:
    """What a proxy says it puts before the paths of this server, without a slash at the end."""
    return urlsplit(public_address(request)).path


def _with_slashes(path: str) -> str:
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def _json(value: object) -> bytes:
    """JSON that can stand in a script."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"<", b"\\u003c")


def _user_configuration(path: Path) -> bytes:
    """The operator's script; what is wrong with it is told in the log and in the browser's console."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_USER_CONFIGURATION + 1)
    except OSError as error:
        problem = f"OHIF.UserConfiguration cannot be read: {error.strerror}"
    else:
        if len(content) <= LONGEST_USER_CONFIGURATION:
            return content
        problem = "OHIF.UserConfiguration is larger than 1 MB"
    log.warning("%s", problem)
    return b"console.error(" + _json(problem) + b");"
