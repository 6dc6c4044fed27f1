"""Environment variables as configuration: `ORTHANC__DICOM_WEB__ROOT` is `{"DicomWeb": {"Root": ...}}`.

The names follow the Docker image of Orthanc: an underscore before each word, two between levels, all upper
case. Underscores and case do not tell any two options apart, so a variable is matched with the options that
exist by dropping both, which also finds the irregular ones (`STORE_MD5_FOR_ATTACHMENTS`, `POSTGRESQL`).
Names that the user chooses, such as those of modalities, are rebuilt word by word, as the image does.

A value is JSON if it parses as such and otherwise text; an option that is text takes it as written.
`X_SECRET=name` takes the value of X from a file of that name among the secrets, and a secret that is itself
called like a variable sets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ithil.settings import json_text
from ithil.settings.errors import SettingsError
from ithil.settings.option import Option, options_of
from ithil.settings.tree import Tree

WHOLE = "ORTHANC_JSON"
_PREFIXES = {"ORTHANC__": (), "ITHIL__": ("ITHIL",)}
ORIGINS = ("environment variable ", "secret ")  # how the origin of every value from here begins
_SECRET = "_SECRET"
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+")
# The names of products are one word, however they are spelt.
_PRODUCTS = {"PostgreSQL": "Postgresql", "MySQL": "Mysql"}


def variable_name(path: tuple[str, ...]) -> str:
    """The variable that sets the option at `path`, such as `("DicomWeb", "Root")`."""
    words = [_PRODUCTS.get(key, key) for key in path]
    prefix = "ORTHANC__"
    if path[0] == "Ithil" and len(path) > 1:
        words, prefix = words[1:], "ITHIL__"
    return prefix + "__".join("_".join(_WORD.findall(key)).upper() for key in words)


@dataclass(frozen=True, slots=True)
class Target:
    """What a variable sets: a path, and the deepest option that is known on it."""

    path: tuple[str, ...]
    option: Option | None
    is_below: bool  # the path leads into the option, as to one user of RegisteredUsers


def target(variable: str, root: type) -> Target | None:
    """What `variable` sets below the settings class `root`, or None if it is not configuration."""
    for prefix, start in _PREFIXES.items():
        if variable.startswith(prefix) and len(variable) > len(prefix):
            path: list[str] = []
            option: Option | None = None
            known: Mapping[str, Option] = options_of(root)
            is_below = False
            for part in (*start, *variable[len(prefix) :].split("__")):
                key = _match(part, known)
                path.append(key)
                is_below = option is not None and option.section is None
                if not is_below:
                    option = known.get(key)
                known = options_of(option.section) if option and option.section and not is_below else {}
            return Target(tuple(path), option, is_below)
    return None


def apply(
    tree: Tree,
    environ: Mapping[str, str],
    root: type,
    secrets: Path,
    warnings: list[str],
) -> None:
    """Merge what `environ` and the files in the folder `secrets` configure into `tree`.

    Raises `SettingsError` if `ORTHANC_JSON` is not a JSON object or a named secret cannot be read.
    """
    if whole := environ.get(WHOLE):
        origin = f"{ORIGINS[0]}{WHOLE}"
        tree.merge(json_text.parse(json_text.substitute(whole, environ), origin, warnings), origin)
    for variable in sorted(environ):
        found = target(variable, root)
        if found is not None and not variable.endswith(_SECRET):
            tree.set(found.path, _value(environ[variable], found), f"{ORIGINS[0]}{variable}")
    for variable in sorted(environ):
        found = target(variable.removesuffix(_SECRET), root)
        if found is not None and variable.endswith(_SECRET):
            # The name of a secret is a plain name; a path would let the environment read any file.
            name = environ[variable]
            if not name or Path(name).name != name:
                raise SettingsError(f"{variable} must be the name of a file in {secrets}")
            tree.set(found.path, _value(_read(secrets / name, variable), found), f"{ORIGINS[1]}{variable}")
    for variable in _files(secrets):
        found = target(variable, root)
        if found is not None:
            tree.set(
                found.path, _value(_read(secrets / variable, variable), found), f"{ORIGINS[1]}{variable}"
            )


def _flat(name: str) -> str:
    return name.replace("_", "").lower()


def _match(part: str, known: Mapping[str, Option]) -> str:
    wanted = _flat(part)
    for key, option in known.items():
        if _flat(key) == wanted or any(_flat(alias) == wanted for alias in option.aliases):
            return key
    return "".join(word.capitalize() for word in part.split("_"))


def _value(text: str, found: Target) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    option = found.option
    # A password made of digits is JSON's number, but meant as text.
    if option is not None and option.textual and not isinstance(value, str):
        is_object = isinstance(value, dict) and not found.is_below and option.kind.startswith("object")
        return value if is_object else text
    return value


def _read(file: Path, variable: str) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"The secret for {variable} cannot be read: {file}") from None


def _files(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if each.is_file())
    except OSError:
        return []
