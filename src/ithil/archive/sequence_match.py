"""Sequence matching in a file's header (PS3.4 C.2.2.2.6): some item has everything that is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ithil.archive.matching import LONGEST_VALUE, Accepts, Item, accepts
from ithil.dicom.charsets import Decoder
from ithil.dicom.dataset import Dataset, Element, decoder_of
from ithil.dicom.dictionary import tag_vr
from ithil.dicom.values import value_text

HoldsIn = Callable[[Dataset], bool]
_Inner = Callable[[Dataset, Sequence[Element], Decoder], bool]


def holds(tag: int, item: Item, *, case_sensitive: bool) -> HoldsIn:
    """A function that tells whether the sequence `tag` of a data set has an item that matches."""
    test = _sequence(tag, item, case_sensitive)
    return lambda dataset: test(dataset, dataset.elements, dataset.decode)


def _sequence(tag: int, item: Item, case_sensitive: bool) -> _Inner:
    tests: list[_Inner] = []
    for inner, question in item.keys:
        if isinstance(question, Item):
            tests.append(_sequence(inner, question, case_sensitive))
        else:
            tests.append(_value(inner, accepts(question, case_sensitive=case_sensitive)))

    def test(dataset: Dataset, elements: Sequence[Element], decode: Decoder) -> bool:
        for element in elements:
            if element.tag == tag:
                for each in element.items or ():
                    inner = decoder_of(each, decode, dataset.default_encoding)
                    if all(one(dataset, each, inner) for one in tests):
                        return True
        return False

    return test


def _value(tag: int, accept: Accepts) -> _Inner:
    def test(dataset: Dataset, elements: Sequence[Element], decode: Decoder) -> bool:
        for element in elements:
            if element.tag == tag and element.items is None and len(element.value) <= LONGEST_VALUE:
                vr = element.vr if element.vr != "UN" else tag_vr(tag, element.private_creator)
                text = value_text("LO" if vr == "UN" else vr, bytes(element.value), decode, dataset.sign)
                return text is not None and accept(text)
        return False

    return test
