"""The order of the slices of a series: by their place along the normal of the images, else by their numbers.

PS3.3 C.7.6.2 has the position and the orientation of an image in the patient. A series is a volume if all its
images lie in parallel planes, no two in the same; anything else is a sequence.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

_TOLERANCE = 1.2e-6  # ten times the resolution of a 32-bit float: in millimetres, and of cosines

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Slice:
    """One image: where it lies (texts of the elements, "" if absent) and its number in the series."""

    id: str
    position: str = ""
    orientation: str = ""
    number: int | None = None


def in_volume(slices: Sequence[Slice]) -> list[Slice] | None:
    """The slices along the normal of the first one, or None if they do not make a volume."""
    if len(slices) < 2:
        return None
    normal: Vector | None = None
    placed: list[tuple[float, Slice]] = []
    for one in slices:
        position, own = _numbers(one.position, 3), _normal(one.orientation)
        if position is None or own is None:
            return None
        if normal is None:
            normal = own
        if abs(abs(_dot(own, normal)) - 1) > _TOLERANCE:
            return None
        placed.append((_dot((position[0], position[1], position[2]), normal), one))
    placed.sort(key=lambda pair: pair[0])
    distances = [distance for distance, _ in placed]
    if any(after - before <= _TOLERANCE for before, after in itertools.pairwise(distances)):
        return None
    return [one for _, one in placed]


def in_sequence(slices: Sequence[Slice]) -> list[Slice] | None:
    """The slices by their numbers, or None if there are several and one has no number."""
    if len(slices) > 1 and any(one.number is None for one in slices):
        return None
    return sorted(slices, key=lambda one: one.number or 0)


def _numbers(text: str, count: int) -> list[float] | None:
    """Exactly that many finite numbers."""
    parts = text.split("\\")
    if len(parts) != count or len(text) > 64 * count:
        return None
    try:
        found = [float(part) for part in parts]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _normal(orientation: str) -> Vector | None:
    """The unit vector at right angles to the image; None if its rows and columns span no plane."""
    found = _numbers(orientation, 6)
    if found is None:
        return None
    a, b, c, d, e, f = found
    x, y, z = b * f - c * e, c * d - a * f, a * e - b * d
    length = math.sqrt(x * x + y * y + z * z) if max(abs(x), abs(y), abs(z)) < 1e100 else 0.0
    return (x / length, y / length, z / length) if length > _TOLERANCE else None


def _dot(first: Vector, second: Vector) -> float:
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
