"""Fuzzy matching of names: what is alike, that the database misses none of it, and that it stays quick."""

from __future__ import annotations

import random
import time

import pytest
from tests.unit.archive.places import put
from tests.unit.archive.searching import ids, instance

from ithil.archive import fuzzy
from ithil.archive.archive import Archive
from ithil.archive.matching import Equal, Fuzzy
from ithil.archive.query import Constraint, Query
from ithil.dicom.level import Level

PATIENT_NAME, REQUESTING_PHYSICIAN = 0x00100010, 0x00321032


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Meier", "MEYER^ANNA"),
        ("meyer", "Meyers^Anna"),
        ("Anna Meyer", "MEYER^ANNA^MARIA"),
        ("Katherine", "Catherine^Jones"),
        ("Schmitt", "SCHMIDT^J"),
        ("Jhon", "John"),
        ("Szczepanski", "SZCZEPAŃSKY^A"),
        ("Jon", "Jonathan"),
        ("muller", "Müller^Bert"),
        ("yamada", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("山田", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("*mey*", "MEYER"),
        ("", "anybody"),
    ],
)
def test_alike(asked: str, name: str) -> None:
    assert fuzzy.like(asked)(name)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Lee", "Lea"),
        ("Meier", "Bauer"),
        ("Anna Meier", "Meyer^Bert"),
        ("Meyers", "Mey"),
        ("Jon", ""),
        ("山田", "田山"),
    ],
)
def test_not_alike(asked: str, name: str) -> None:
    assert not fuzzy.like(asked)(name)


def test_every_word_that_is_alike_has_one_of_the_parts() -> None:
    chance = random.Random(7)
    for _ in range(4000):
        word = "".join(chance.choices("ABCD", k=chance.randint(4, 14)))
        other = word
        for _ in range(fuzzy.edits(word)):
            other = _edited(other, chance)
        if fuzzy.like(word)(other):
            assert any(part in other for part in fuzzy.parts(word)), (word, other)


def _edited(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word))
    kind = chance.randrange(4)
    if kind == 0:
        return word[:place] + chance.choice("ABCDE") + word[place:]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    if kind == 2:
        return word[:place] + chance.choice("ABCDE") + word[place + 1 :]
    return word[:place] + word[place + 1 : place + 2] + word[place : place + 1] + word[place + 2 :]


def test_long_texts_take_no_time() -> None:
    started = time.thread_time()
    like = fuzzy.like(" ".join(["A" * 500 + str(n) for n in range(500)]))
    assert not like("^".join(["A" * 61 + "BCD"] * 200))
    assert time.thread_time() - started < 2


def _find(archive: Archive, tag: int, text: str) -> int:
    constraint = Constraint(tag, Fuzzy(text, Equal(text)))
    return len(ids(archive, Query(Level.STUDY, (constraint,))))


def test_search(archive: Archive) -> None:
    names = (
        "Meyer^Anna",
        "MAIER^Bert",
        "Mayr^Carl",
        "Müller^Dora",
        "Smith^Émile",
        "",
        "Schwarzenegger^Arnold",
        "O'Brien^%_",
    )
    for name in names:
        put(archive, instance(PatientName=name, PatientID=name, RequestingPhysician=name))
    for tag in (PATIENT_NAME, REQUESTING_PHYSICIAN):
        assert _find(archive, tag, "meier") == 2
        assert _find(archive, tag, "Muler") == 1
        assert _find(archive, tag, "emile smiht") == 1
        assert _find(archive, tag, "Schwartzeneger") == 1
        assert _find(archive, tag, "arnold schwarzenegger") == 1
        assert _find(archive, tag, "o'brian") == 1
        assert _find(archive, tag, "nobody") == 0
        assert _find(archive, tag, "[x]*%_\\") == 0
