"""The configuration in force as JSON with its secrets masked, and `ithil config check` around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ithil.settings.errors import SettingsError
from ithil.settings.loading import load
from ithil.settings.model import Settings
from ithil.settings.option import Option, attribute_of, options_of

MASK = "********"

_SECRET_KEY = re.compile(
    r"pass(word|phrase|wd)?$|password|secret|credential|token$|^pin$|api-?key|access-?key|master-?keys?$|authorization",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"(://[^/?#@:\s]*:)[^/?#\s]*(?=@)")
_PASSWORD_IN_TEXT = re.compile(
    r"((?:\bpassword|\bsslpassword|\bpwd)\s*=\s*)('[^']*'|[^\s;&']*)", re.IGNORECASE
)


def render_effective(settings: Settings) -> str:
    """All options in force, under Orthanc's names, as indented JSON.

    Sections of parts that Ithil does not have are left out unless they were configured. Secrets are masked:
    passwords, keys, values of HTTP headers, passwords inside URLs.
    """
    text = json.dumps(effective(settings, settings.configuration), indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate cannot be printed


def effective(values: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a settings object in JSON's terms, masked; `given` is what was written of them."""
    result: dict[str, Any] = {}
    attributes = attribute_of(values)
    for key, option in options_of(values).items():
        value = getattr(values, attributes[key])
        if option.section is not None:
            written = given.get(key)
            if isinstance(written, dict) or _has_honoured(option.section):
                result[key] = effective(value, written if isinstance(written, dict) else {})
        elif value is not None and option.kind.startswith("object"):
            written = next((given[name] for name in (key, *option.aliases) if name in given), {})
            result[key] = _masked(option, written)
        elif value is not None:
            result[key] = _masked(option, _as_json(value))
    return result


def config_check(
    paths: Sequence[str | Path] = (),
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> tuple[int, str]:
    """What `ithil config check` does: the exit code and the text to print.

    The code is 0 if the server would start, with the effective configuration and the warnings as comments,
    so that the text is a configuration file again; 1 if not, with the reason.
    """
    try:
        settings = load(paths, environ, overrides)
    except SettingsError as error:
        return 1, f"{error}\n"
    lines = [f"// Warning: {' '.join(warning.split())}" for warning in settings.warnings]
    return 0, "\n".join([*lines, render_effective(settings)]) + "\n"


def mask_text(text: str) -> str:
    """`text` with the passwords of URLs and of `password=...` masked."""
    text = _PASSWORD_IN_URL.sub(rf"\g<1>{MASK}", text)
    return _PASSWORD_IN_TEXT.sub(rf"\g<1>{MASK}", text)


def mask(value: Any) -> Any:
    """`value` with what looks like a secret masked, at any depth."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, list):
        # [url, user, password], the short form of a peer.
        if len(value) == 3 and isinstance(value[0], str) and value[0].startswith(("http://", "https://")):
            return [mask_text(value[0]), value[1], MASK]
        return [mask(each) for each in value]
    if isinstance(value, dict):
        return {key: _mask_entry(key, below) for key, below in value.items()}
    return value


def _mask_entry(key: str, value: Any) -> Any:
    if key == "HttpHeaders" and isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    if _SECRET_KEY.search(key) and value not in ("", None):
        return MASK
    return mask(value)


def _masked(option: Option, value: Any) -> Any:
    if not option.secret:
        return mask(value)
    if isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    return MASK if value else value


def _as_json(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    return value


def _has_honoured(section: type) -> bool:
    return any(option.status.state == "honoured" for option in options_of(section).values())
