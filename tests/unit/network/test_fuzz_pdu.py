"""The fuzz target for PDUs, run briefly and always with the same inputs."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.fuzz_pdu import fuzz_one, mutations, seeds


def test_the_seeds_themselves():
    for seed in seeds():
        fuzz_one(seed)


def test_mutated_streams():
    for data in itertools.islice(mutations(random.Random(1)), 1500):
        fuzz_one(data)


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_random_bytes(data):
    fuzz_one(data)
