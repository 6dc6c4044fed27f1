"""From the merged tree to typed settings: each value is checked by its option, the rest is reported.

What is unknown or not honoured is collected in a `Report`, so that the start says each kind once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ithil.settings.errors import SettingsError
from ithil.settings.option import Context, Option, WrongValue, attribute_of, options_of
from ithil.settings.tree import Tree

_Section = TypeVar("_Section")

_JSON_TYPES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


@dataclass(slots=True)
class Report:
    """What the start has to say about options that were set."""

    ignored: dict[str, list[str]] = field(default_factory=dict)  # names by reason
    unknown: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def warnings(self) -> list[str]:
        """One warning for all that is not honoured, one for all that is unknown, and the remarks."""
        result = list(self.remarks)
        if self.ignored:
            parts = [f"{', '.join(names)} ({reason})" for reason, names in self.ignored.items()]
            result.append(f"These options are set but not honoured: {'; '.join(parts)}.")
        if self.unknown:
            result.append(f"These options are unknown and without effect: {', '.join(self.unknown)}.")
        return result


def build(
    cls: type[_Section], tree: Tree, context: Context, report: Report, path: tuple[str, ...] = ()
) -> _Section:
    """The settings class `cls` filled from the object at `path` of `tree`.

    Raises `SettingsError` for a wrong type or value, and for an option that must not be ignored.
    """
    given = _object_at(tree, path)
    options = options_of(cls)
    names = {alias: option.key for option in options.values() for alias in option.aliases}
    values: dict[str, Any] = {}
    attributes = attribute_of(cls)
    for written, value in given.items():
        key = names.get(written, written)
        option = options.get(key)
        here = (*path, written)
        if option is None:
            report.unknown.append(_unknown(here, options))
        elif option.section is not None:
            _convert(option, value, context, tree, here)
            values[attributes[key]] = build(option.section, tree, context, report, here)
        elif key == written or key not in given:  # a current name wins over its alias
            values[attributes[key]] = _convert(option, value, context, tree, here)
            _judge(option, value, tree, here, report)
    for key, option in options.items():
        if attributes[key] not in values and option.section is None and option.default is not None:
            values[attributes[key]] = option.convert(option.default, context)
    return cls(**values)


def _object_at(tree: Tree, path: tuple[str, ...]) -> dict[str, Any]:
    values: Any = tree.values
    for key in path:
        values = values.get(key, {})
    assert isinstance(values, dict)
    return values


def _convert(option: Option, value: Any, context: Context, tree: Tree, path: tuple[str, ...]) -> Any:
    try:
        return option.convert(value, context)
    except WrongValue as wrong:
        kind = _JSON_TYPES.get(type(value), "something else")
        written = f" ({value})" if isinstance(value, int | float) and not option.secret else ""
        found = wrong.found or f"it is {kind}{written}"
        raise SettingsError(
            f'The option "{".".join(path)}" must be {wrong}, but {found} (set in {tree.origin(path)})'
        ) from None


def _judge(option: Option, value: Any, tree: Tree, path: tuple[str, ...], report: Report) -> None:
    if option.status.state == "honoured" or _among(value, option.harmless):
        return
    name = ".".join(path)
    if option.status.state == "refused":
        raise SettingsError(
            f'The option "{name}" (set in {tree.origin(path)}) cannot be used: {option.status.reason}'
        )
    report.ignored.setdefault(option.status.reason, []).append(name)


def _among(value: Any, harmless: tuple[Any, ...]) -> bool:
    # False == 0 in Python, not in JSON.
    return any(type(each) is type(value) and each == value for each in harmless)


def _unknown(path: tuple[str, ...], options: Mapping[str, Option]) -> str:
    name = ".".join(path)
    folded = {key.lower(): key for key in options}
    near = difflib.get_close_matches(path[-1].lower(), folded, n=1, cutoff=0.75)
    if not near:
        return name
    guess = ".".join((*path[:-1], folded[near[0]]))
    return f"{name} (did you mean {guess}?)"
