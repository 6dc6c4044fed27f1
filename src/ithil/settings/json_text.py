"""From the raw text of a configuration file to a JSON object.

Orthanc's files are JSON with `//` and `/* */` comments, in which `${VAR}` is replaced by an environment
variable before anything is parsed, so that a substitution may also supply a key or a whole JSON value.
As in Orthanc, a byte order mark, a comma before a closing bracket, a key written twice (the last one counts)
and text behind the closing brace are accepted; the last two are reported, since they are nearly always slips.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ithil.settings.errors import SettingsError

# Strings come first, so that what looks like a comment inside one is never taken for a comment.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_VARIABLE = re.compile(r"""\$\{([^{}:]+)(?::-(?:'([^']*)'|"([^"]*)"|([^}]*)))?\}""")


def strip_comments(text: str) -> str:
    """`text` with each comment replaced by blanks; line breaks stay, so that error positions stay true."""

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        if found.startswith('"'):
            return found
        return "".join("\n" if char == "\n" else " " for char in found)

    return _TOKEN.sub(blank, text)


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `${VAR}`, `${VAR:-x}`, `${VAR:-'x'}` and `${VAR:-"x"}` replaced.

    A variable that is not set and has no default becomes nothing. Values are inserted as they are, without
    escaping, so they may hold any JSON.
    """

    def value(match: re.Match[str]) -> str:
        found = environ.get(match.group(1))
        if found is not None:
            return found
        return match.group(2) or match.group(3) or match.group(4) or ""

    return _VARIABLE.sub(value, text)


def parse(text: str, source: str, warnings: list[str]) -> dict[str, Any]:
    """The JSON object in `text`, which may hold comments; remarks are added to `warnings`.

    Raises `SettingsError` with `source` and the line if it is not JSON or not an object.
    """
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    repeated.append(key)
                seen.add(key)
        return result

    clean = strip_comments(text.removeprefix("\ufeff"))
    clean = _TRAILING_COMMA.sub(lambda match: match.group(1) or " ", clean)
    # jsoncpp, which reads these files in Orthanc, takes line breaks in strings but no NaN.
    decoder = json.JSONDecoder(object_pairs_hook=collect, parse_constant=_no_constant, strict=False)
    start = len(clean) - len(clean.lstrip())
    try:
        value, end = decoder.raw_decode(clean, start)
    except json.JSONDecodeError as error:
        raise SettingsError(
            f"{source} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise SettingsError(f"{source} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{source} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise SettingsError(f"{source} must hold a JSON object, that is {{ ... }}")
    if clean[end:].strip():
        warnings.append(f"{source}: the text behind the closing brace is ignored.")
    if repeated:
        names = ", ".join(sorted(set(repeated)))
        warnings.append(f"{source}: written more than once, only the last one counts: {names}.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
