"""How one option is declared: name, type, default, what is allowed, and whether Ithil honours it.

The classes of settings are dataclasses whose fields are made by the functions here, such as

    http_port: int = integer("HttpPort", 8042, "Port of the HTTP server", 0, 65535)

so that one line is everything there is to know about an option. Parsing, validation, warnings, the printed
configuration and `docs/configuration.md` all read these lines; nothing else lists the options.
The functions return `Any`, as `dataclasses.field` does in effect: the annotation beside them is the type.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

_METADATA_KEY = "ithil"


@dataclass(frozen=True, slots=True)
class Status:
    """What Ithil does with an option: `honoured`, `ignored` (with a warning) or `refused` (no start)."""

    state: str
    reason: str = ""


HONOURED = Status("honoured")


def ignored(reason: str) -> Status:
    """The option is known, but setting it only leads to a warning that gives `reason`."""
    return Status("ignored", reason)


def refused(reason: str) -> Status:
    """Going on without the option would lose protection or put data in the wrong place: no start."""
    return Status("refused", reason)


class WrongValue(Exception):
    """A converter's complaint; the message says what the option must be, without naming the option.

    `found` says what is wrong about an entry of it; without it, the kind of the whole value is told.
    """

    def __init__(self, allowed: str, found: str = "") -> None:
        super().__init__(allowed)
        self.found = found


@dataclass(frozen=True, slots=True)
class Context:
    """What converters need to know besides the value; `root` is the whole configuration as written."""

    folder: Path  # where relative paths start
    warnings: list[str]
    root: Mapping[str, Any] = field(default_factory=dict)


Converter = Callable[[Any, Context], Any]


@dataclass(frozen=True, slots=True)
class Option:
    """One option as declared. `default` is in JSON's terms; None means that it is absent unless written."""

    key: str
    kind: str
    default: Any
    meaning: str
    allowed: str
    convert: Converter
    status: Status = HONOURED
    harmless: tuple[Any, ...] = ()  # values that ask for what Ithil does anyway
    secret: bool = False
    textual: bool = False  # a number from the environment is meant as text
    unit: str = ""
    aliases: tuple[str, ...] = ()
    attribute: str = ""
    section: type | None = None


def declare(
    key: str,
    kind: str,
    default: Any,
    meaning: str,
    allowed: str,
    convert: Converter,
    status: Status = HONOURED,
    **more: Any,
) -> Any:
    """The dataclass field of an option with a converter of its own."""
    option = Option(key, kind, default, meaning, allowed, convert, status, **more)
    metadata = {_METADATA_KEY: option}
    if default is None:
        return field(default=None, repr=not option.secret, metadata=metadata)
    # Settings made directly, as in tests, take relative paths as they are.
    return field(
        default_factory=lambda: convert(default, Context(Path(), [])),
        repr=not option.secret,
        metadata=metadata,
    )


def options_of(cls: Any) -> dict[str, Option]:
    """The options that a settings class declares, by key, in the order of declaration."""
    result: dict[str, Option] = {}
    for each in fields(cls):
        option = _option(each)
        if option is not None:
            result[option.key] = option
    return result


def attribute_of(cls: Any) -> dict[str, str]:
    """The name of the attribute that holds each option of a settings class, by key."""
    return {option.key: each.name for each in fields(cls) if (option := _option(each)) is not None}


def _option(each: Field[Any]) -> Option | None:
    return each.metadata.get(_METADATA_KEY)


def section(key: str, cls: Any) -> Any:
    """The field of a nested object whose keys are options themselves, declared by `cls`."""
    option = Option(
        key, "object", None, (cls.__doc__ or "").split("\n")[0], "an object", _object, section=cls
    )
    return field(default_factory=cls, metadata={_METADATA_KEY: option})


def boolean(key: str, default: bool | None, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """An option that is `true` or `false`; text and numbers are not taken for it."""
    return declare(key, "boolean", default, meaning, "true or false", _boolean, status, **more)


def integer(
    key: str,
    default: int | None,
    meaning: str,
    low: int = 0,
    high: int | None = None,
    status: Status = HONOURED,
    **more: Any,
) -> Any:
    """An option that is a whole number from `low` to `high`, both included."""
    allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"

    def convert(value: Any, _context: Context) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongValue(allowed)
        if value < low or (high is not None and value > high):
            raise WrongValue(allowed)
        return value

    return declare(key, "integer", default, meaning, allowed, convert, status, **more)


def seconds(key: str, default: float, meaning: str, low: float, high: float, **more: Any) -> Any:
    """An option that is a duration in seconds, with decimals if wanted."""
    allowed = f"a number from {low:g} to {high:g}"

    def convert(value: Any, _context: Context) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise WrongValue(allowed)
        return float(value)

    return declare(key, "number", default, meaning, allowed, convert, unit="s", **more)


def text(
    key: str,
    default: str | None,
    meaning: str,
    status: Status = HONOURED,
    *,
    check: Callable[[str], str] | None = None,
    **more: Any,
) -> Any:
    """An option that is a string; `check` returns what is wrong with it, or an empty string."""

    def convert(value: Any, _context: Context) -> str:
        if not isinstance(value, str):
            raise WrongValue("a string")
        if check is not None and (complaint := check(value)):
            raise WrongValue(complaint)
        return value

    return declare(key, "string", default, meaning, "a string", convert, status, textual=True, **more)


def choice(
    key: str,
    default: str | None,
    allowed: Sequence[str],
    meaning: str,
    status: Status = HONOURED,
    *,
    convert: Converter | None = None,
    **more: Any,
) -> Any:
    """An option that is one of the words of `allowed`, in exactly this spelling."""
    words = "one of " + ", ".join(f'"{word}"' for word in allowed)

    def choose(value: Any, _context: Context) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise WrongValue(words)
        return value

    return declare(key, "string", default, meaning, words, convert or choose, status, **more)


def path(key: str, default: str | None, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """An option that is a file or folder; relative ones start from the folder of the configuration."""
    return declare(key, "path", default, meaning, "a path", _path, status, textual=True, **more)


def paths(key: str, default: list[str] | None, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """An option that is a list of files or folders."""

    def convert(value: Any, context: Context) -> list[Path]:
        return [_path(each, context) for each in strings(value)]

    return declare(key, "array of paths", default, meaning, "an array of paths", convert, status, **more)


def texts(
    key: str,
    default: list[str] | None,
    meaning: str,
    status: Status = HONOURED,
    *,
    single: bool = False,
    check: Callable[[str], str] | None = None,
    **more: Any,
) -> Any:
    """An option that is a list of strings; with `single` one string may stand for a list of one.

    `check` returns what is wrong with one of them, or an empty string.
    """
    allowed = "a string or an array of strings" if single else "an array of strings"

    def convert(value: Any, _context: Context) -> list[str]:
        if single and isinstance(value, str):
            return [value]
        found = strings(value, allowed)
        for each in found:
            if check is not None and (complaint := check(each)):
                raise WrongValue(complaint)
        return found

    kind = "string or array of strings" if single else "array of strings"
    return declare(key, kind, default, meaning, allowed, convert, status, **more)


def free_object(key: str, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """An option that is an object whose content is not looked at any further."""
    return declare(key, "object", None, meaning, "an object", _object, status, **more)


def free_array(key: str, meaning: str, status: Status = HONOURED, **more: Any) -> Any:
    """An option that is an array whose content is not looked at any further."""
    return declare(key, "array", None, meaning, "an array", _array, status, **more)


def strings(value: Any, allowed: str = "an array of strings") -> list[str]:
    """`value` if it is an array of strings; raises `WrongValue` otherwise."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise WrongValue(allowed)
    return list(value)


def _boolean(value: Any, _context: Context) -> bool:
    if not isinstance(value, bool):
        raise WrongValue("true or false")
    return value


def _object(value: Any, _context: Context) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongValue("an object")
    return value


def _array(value: Any, _context: Context) -> list[Any]:
    if not isinstance(value, list):
        raise WrongValue("an array")
    return value


def _path(value: Any, context: Context) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise WrongValue("a path")
    # abspath, not resolve: a symbolic link in the configured path stays what the operator wrote.
    return Path(os.path.abspath(context.folder / value))
