"""Names that are nearly those that somebody asks for: fuzzy matching of persons' names (PS3.4 C.2.2.2.1.1).

The standard leaves to the archive what fuzzy means. Here a name matches if each word that is asked for is like
some word of the name, whatever the order: the words of all components and component groups count alike, without
case and accents. A word is like another that begins with it, or that becomes equal by a few edits, where an edit
puts in, takes out or changes one letter, or swaps two neighbours: none for words of up to three letters, one for
up to seven, two for longer ones. So `meier` finds MEYER, `Jon` finds JONATHAN, and `anna müller` MULLER^ANNA.

`parts` is how a database finds candidates: texts of which each word that is like another has at least one within.
It cuts the word into one piece more than there may be edits, so that one piece stays whole; only neighbours that
are swapped over a cut break two pieces, so the joined pieces with the swap are texts as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

from ithil.dicom.main_tags import normalise

MOST_WORDS = 8
"""Words that are looked at; what is asked beyond them does not count."""

LONGEST_WORD = 64
"""Characters of a word that are looked at, of the question and of names."""

_BETWEEN = re.compile(r"[\s^=,.;*?\\]+")


def words(text: str) -> list[str]:
    """The words of a name or of a question for one, in the form that is compared."""
    return [word[:LONGEST_WORD] for word in _BETWEEN.split(normalise(text)) if word]


def edits(word: str) -> int:
    """How many edits may lie between the word and one that is like it."""
    return 0 if len(word) < 4 else 1 if len(word) < 8 else 2


def like(text: str) -> Callable[[str], bool]:
    """A function that tells whether a name is like `text`; any name is, if there is no word in it."""
    asked = [(word, edits(word), parts(word)) for word in words(text)[:MOST_WORDS]]

    def accept(name: str) -> bool:
        found = words(name)
        return all(any(_alike(word, other, most, pieces) for other in found) for word, most, pieces in asked)

    return accept


def parts(word: str) -> list[str]:
    """Texts of which every word that is like `word` contains at least one."""
    most = edits(word)
    if not most:
        return [word]
    size = len(word) / (most + 1)
    cuts = [round(size * number) for number in range(1, most + 1)]
    bounds = [0, *cuts, len(word)]
    found = [word[start:end] for start, end in pairwise(bounds)]
    for count in range(1, most + 1):
        for swapped in combinations(range(most), count):
            letters = list(word)
            for number in swapped:
                cut = cuts[number]
                letters[cut - 1], letters[cut] = letters[cut], letters[cut - 1]
            first, last = swapped[0], swapped[-1]
            found.append("".join(letters[bounds[first] : bounds[last + 2]]))
    return list(dict.fromkeys(found))


def _alike(word: str, other: str, most: int, pieces: Sequence[str]) -> bool:
    if other.startswith(word):
        return True
    if not most or abs(len(word) - len(other)) > most or not any(piece in other for piece in pieces):
        return False
    return _distance(word, other, most) <= most


def _distance(first: str, second: str, most: int) -> int:
    """The edits from one word to the other (optimal string alignment); any number above `most` if there are more."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        older, before = before, row
        row = [i]
        for j, other in enumerate(second, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:
            break
    return row[-1] if i == len(first) else most + 1
