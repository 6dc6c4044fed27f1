"""Reading the text of a configuration file: comments, substitution, what is tolerated and what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ithil.settings import SettingsError
from ithil.settings.json_text import parse, strip_comments, substitute

_KEYS = st.text(st.sampled_from('ab/*"\\ \n,}'), max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('x/*"\\\n,]}'), max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_KEYS, below, max_size=3),
    max_leaves=12,
)
_COMMENTS = st.sampled_from(['/* " */', "/**/", "/* // */", '// x " /*\n', "//\n", "/* a\n b */", " ", "\n"])


def _tokens(value: object) -> list[str]:
    """The tokens of the JSON text of `value`; between any two of them a comment may stand."""
    if isinstance(value, dict):
        inner: list[str] = []
        for key, below in value.items():
            inner += [",", json.dumps(key), ":", *_tokens(below)]
        return ["{", *inner[1:], "}"]
    if isinstance(value, list):
        inner = []
        for below in value:
            inner += [",", *_tokens(below)]
        return ["[", *inner[1:], "]"]
    return [json.dumps(value)]


@given(st.dictionaries(_KEYS, _VALUES, max_size=4), st.data())
def test_comments_anywhere_between_tokens_change_nothing(
    value: dict[str, object], data: st.DataObject
) -> None:
    text = "".join(data.draw(_COMMENTS) + token for token in _tokens(value))
    warnings: list[str] = []
    assert parse(text, "test", warnings) == value
    assert warnings == []


@given(st.text(st.sampled_from('a/*"\\\n '), max_size=40))
def test_stripping_keeps_the_length_and_the_lines(text: str) -> None:
    clean = strip_comments(text)
    assert len(clean) == len(text)
    assert [i for i, c in enumerate(clean) if c == "\n"] == [i for i, c in enumerate(text) if c == "\n"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("${A:-two}", "one"),
        ("${B}", ""),
        ("${B:-two}", "two"),
        ("${B:-'t w o'}", "t w o"),
        ('${B:-"two"}', "two"),
        ("${B:-}", ""),
        ("x${B:-1}y${A}z", "x1yonez"),
        ("${EMPTY:-two}", ""),
        ("$A {A}", "$A {A}"),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    assert substitute(text, {"A": "one", "EMPTY": ""}) == expected


def test_substitution_supplies_keys_and_whole_values() -> None:
    text = substitute('{"${KEY}": ${VALUE}}', {"KEY": "Name", "VALUE": "[1, 2]"})
    assert parse(text, "test", []) == {"Name": [1, 2]}


@pytest.mark.parametrize("text", ['{"a": [1, 2,], }', '\ufeff{"a": [1, 2]}', '{"a": [1, 2] // last\n,}'])
def test_what_jsoncpp_tolerates_is_tolerated(text: str) -> None:
    warnings: list[str] = []
    assert parse(text, "test", warnings) == {"a": [1, 2]}
    assert warnings == []


def test_a_comma_inside_a_string_stays() -> None:
    assert parse('{"a": ",}", "b": ",]"}', "test", []) == {"a": ",}", "b": ",]"}


def test_a_key_written_twice_is_reported_and_the_last_one_counts() -> None:
    warnings: list[str] = []
    assert parse('{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}', "x.json", warnings) == {"a": 3, "b": {"c": 2}}
    assert warnings == ["x.json: written more than once, only the last one counts: a, c."]


def test_text_behind_the_object_is_reported() -> None:
    warnings: list[str] = []
    assert parse('{"a": 1} // fine\n rest', "x.json", warnings) == {"a": 1}
    assert warnings == ["x.json: the text behind the closing brace is ignored."]


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", "{'a': 1}", '{"a": NaN}', '{"a": 1', "/* {}", "[" * 100_000]
)
def test_what_is_not_a_json_object_is_refused_with_its_source(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^x\.json"):
        parse(text, "x.json", [])


def test_an_error_names_the_line_of_the_file_despite_comments() -> None:
    with pytest.raises(SettingsError, match="line 4"):
        parse('{ /* one\n two */\n// three\n "a" 1 }', "x.json", [])
