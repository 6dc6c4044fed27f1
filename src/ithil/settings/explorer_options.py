"""Options of the web application: section `OrthancExplorer2` and the viewers beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ithil.settings import status as why
from ithil.settings.option import boolean, choice, free_object, path, text

_PUBLIC_PATH = re.compile(r"/?(?:[A-Za-z0-9._~%@-]+/)*[A-Za-z0-9._~%@-]*\Z")


def _root(value: str) -> str:
    return "" if value.startswith("/") and value.endswith("/") else "a path that starts and ends with /"


def _public_path(value: str) -> str:
    return "" if _PUBLIC_PATH.match(value) else "a path like /archive/ohif/"


@dataclass(frozen=True)
class Explorer:
    """The web application"""

    enable: bool = boolean("Enable", True, "Serve the web application", why.NO_EXPLORER, harmless=(False,))
    root: str = text("Root", "/ui/", "Its path", why.NO_EXPLORER, check=_root)
    is_default_orthanc_ui: bool = boolean(
        "IsDefaultOrthancUI", True, "Lead from / to it", why.NO_EXPLORER, harmless=(False,)
    )
    theme: str = choice("Theme", "light", ("light", "dark"), "Colours", why.NO_EXPLORER)
    custom_css_path: Path | None = path("CustomCssPath", None, "A style sheet", why.NO_EXPLORER)
    custom_logo_url: str | None = text("CustomLogoUrl", None, "A logo", why.NO_EXPLORER)
    custom_logo_path: Path | None = path("CustomLogoPath", None, "A logo", why.NO_EXPLORER)
    custom_fav_icon_path: Path | None = path("CustomFavIconPath", None, "An icon", why.NO_EXPLORER)
    custom_title: str | None = text("CustomTitle", None, "A title", why.NO_EXPLORER)
    ui_options: dict[str, Any] | None = free_object(
        "UiOptions", "What the browser is told; no secrets", why.NO_EXPLORER
    )
    keycloak: dict[str, Any] | None = free_object(
        "Keycloak", "Sign-in: Enable, Url, Realm, ClientId, CheckLoginIframe", why.NO_EXPLORER
    )
    tokens: dict[str, Any] | None = free_object(
        "Tokens", "InstantLinksValidity, ShareType, RequiredForLinks, LandingOptions", why.NO_EXPLORER
    )
    advanced_options: dict[str, Any] | None = free_object("AdvancedOptions", "Rare options", why.NO_EXPLORER)
    inbox: dict[str, Any] | None = free_object("Inbox", "Uploads by strangers", why.NO_EXPLORER)
    emails: dict[str, Any] | None = free_object("Emails", "Server of outgoing mail", why.NO_EXPLORER)


@dataclass(frozen=True)
class Ohif:
    """The OHIF viewer"""

    data_source: str = choice(
        "DataSource",
        "dicom-web",
        ("dicom-web", "dicom-json"),
        "How it reads studies",
        why.BY_DICOMWEB,
        harmless=("dicom-web",),
    )
    router_basename: str = text(
        "RouterBasename",
        "/ohif/",
        "The path that browsers see behind a proxy which does not tell",
        check=_public_path,
    )
    user_configuration: Path | None = path(
        "UserConfiguration", None, "A script that sets window.config, over what the server sets"
    )
    preload: bool | None = boolean("Preload", None, "Keep the studies' description", why.BY_DICOMWEB)
