"""The declarations of the options agree with each other and with the page that lists them."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

from ithil.settings import Settings
from ithil.settings.document import document
from ithil.settings.option import Context, Option, attribute_of, options_of

_PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
_TYPES = {"boolean": bool, "integer": int, "number": float, "string": str, "path": Path}


def _classes() -> list[type]:
    return [
        Settings,
        *(option.section for option in options_of(Settings).values() if option.section is not None),
    ]


def _each() -> list[tuple[type, Option]]:
    return [(cls, option) for cls in _classes() for option in options_of(cls).values()]


@pytest.mark.parametrize(
    ("cls", "option"), _each(), ids=lambda value: getattr(value, "key", value.__class__.__name__)
)
def test_each_declaration_is_sound(cls: type, option: Option) -> None:
    assert re.fullmatch(r"[A-Z]\w+", option.key)
    assert option.meaning
    assert option.status.state in ("honoured", "ignored", "refused")
    assert option.status.reason or option.status.state == "honoured"
    if option.section is not None:
        return
    context = Context(Path("/"), [])
    for value in (option.default, *option.harmless):
        if value is not None:
            option.convert(value, context)
    # The annotation is not checked by mypy, since the declaring functions return Any.
    annotation = typing.get_type_hints(cls)[attribute_of(cls)[option.key]]
    members = typing.get_args(annotation) if type(None) in typing.get_args(annotation) else (annotation,)
    if option.kind in _TYPES:
        assert _TYPES[option.kind] in members
    elif option.kind.startswith("object") and option.key != "Dictionary":
        assert any(typing.get_origin(member) is dict for member in members)
    else:
        assert any(typing.get_origin(member) is list for member in members)


def test_attributes_are_the_snake_case_of_the_names() -> None:
    exceptions = {
        "OrthancExplorer2": "explorer",
        "Warnings": "warnings_enabled",
        "PostgreSQL": "postgresql",
        "MySQL": "mysql",
        "OHIF": "ohif",
    }
    for key, attribute in attribute_of(Settings).items():
        assert attribute == exceptions.get(key) or attribute.replace("_", "") == key.lower()


def test_the_page_of_the_configuration_is_up_to_date() -> None:
    assert _PAGE.read_text(encoding="utf-8") == document(), (
        "run: python -m ithil.settings.document > docs/configuration.md"
    )
