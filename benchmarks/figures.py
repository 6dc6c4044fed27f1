"""What a figure is: a name, a unit, and the target it is held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on Ithil/Orthanc, or with ``alone`` on Ithil's own value."""

    bound: float
    at_most: bool = False
    alone: bool = False

    def reached(self, ithil: float, ratio: float | None) -> bool | None:
        """Whether the target is reached, or None if there is nothing to judge it by."""
        value = ithil if self.alone else ratio
        if value is None:
            return None
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        words = f"at {'most' if self.at_most else 'least'} {self.bound:g}"
        return f"Ithil {words}" if self.alone else words


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. ``unit`` is ``/s``, ``MB``, ``s`` or empty for a quotient."""

    name: str
    title: str
    unit: str
    target: Target | None = None

    def text(self, value: float | None) -> str:
        """The value as the table shows it: three digits where it is small, whole numbers where it is not."""
        if value is None:
            return ""
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        number = f"{value:,.{digits}f}"
        return number + self.unit if self.unit == "/s" else f"{number} {self.unit}".strip()


@dataclass(slots=True)
class Line:
    """A figure with the values of every run."""

    figure: Figure
    orthanc: Sequence[float]
    ithil: Sequence[float]

    @property
    def orthanc_median(self) -> float | None:
        return median(self.orthanc) if self.orthanc else None

    @property
    def ithil_median(self) -> float | None:
        return median(self.ithil) if self.ithil else None

    @property
    def ratio(self) -> float | None:
        """Ithil/Orthanc, of the medians; None for a figure that is already a quotient."""
        ours, theirs = self.ithil_median, self.orthanc_median
        if ours is None or theirs is None or theirs == 0 or not self.figure.unit:
            return None
        return ours / theirs

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target or without the values to judge it."""
        if self.figure.target is None or self.ithil_median is None:
            return None
        return self.figure.target.reached(self.ithil_median, self.ratio)
