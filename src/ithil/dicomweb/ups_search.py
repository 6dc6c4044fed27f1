"""The arguments of a search for workitems (PS3.18 11.9, 8.3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.archive.workitems_match import Key, parse_keys, parse_path
from ithil.archive.workitems_model import Attributes
from ithil.error_codes import CodedError
from ithil.http.request import Request, parse_pairs

MOST_RESULTS = 1000
"""Workitems in one answer; more are had with `offset`."""

_LARGEST_OFFSET = 10_000_000
_OTHER = frozenset({"accept", "charset", "_method", "expand"})
_RETURNED = frozenset(
    {
        *("00080005", "00080016", "00080018", "00081080", "00081084", "0020000D", "0040A370"),
        *("00100010", "00100020", "00100021", "00100024", "00100030", "00100040", "00101002"),
        *("00380010", "00380014", "00400400", "00404005", "00404008", "00404010", "00404011"),
        *("00404018", "00404021", "00404025", "00404026", "00404027", "00404034", "00404041"),
        *("00741000", "00741002", "00741200", "00741202", "00741204", "00741210", "00741224"),
    }
)
"""What is always returned: the attributes whose return key type is 1 or 2 (PS3.4 table CC.2.5-3)."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search that was read. `fields` None asks for all attributes."""

    keys: list[Key]
    fields: frozenset[str] | None
    offset: int
    limit: int

    def reduced(self, attributes: Attributes) -> Attributes:
        """What is to be returned of a workitem."""
        fields = self.fields
        if fields is None:
            return attributes
        return {tag: value for tag, value in attributes.items() if tag in fields}


def read_search(request: Request) -> Search:
    """What a request looks for. Raises CodedError (bad request)."""
    sensitive = bool(request.context.settings.dicom_web.qido_case_sensitive)
    pairs: list[tuple[str, str]] = []
    fields: set[str] | None = set(_RETURNED)
    offset, limit, fuzzy = 0, MOST_RESULTS, False
    for name, value in parse_pairs(request.raw_query):
        if name == "includefield":
            for field in filter(None, (part.strip() for part in value.split(","))):
                if field.lower() == "all":
                    fields = None
                elif fields is not None:
                    fields.add(parse_path(field)[0])
        elif name == "offset":
            offset = _number(name, value, _LARGEST_OFFSET)
        elif name == "limit":
            limit = min(_number(name, value, _LARGEST_OFFSET), MOST_RESULTS)
        elif name == "fuzzymatching":
            fuzzy = value.lower() == "true"
        elif name not in _OTHER:
            pairs.append((name, value))
    keys = parse_keys(pairs, case_sensitive=sensitive, fuzzy=fuzzy)
    if fields is not None:
        fields.update(key.tag for key in keys)
    return Search(keys, None if fields is None else frozenset(fields), offset, limit)


def filters_of(request: Request) -> list[tuple[str, str]]:
    """The keys of a filtered subscription: as arguments, or in `filter` between commas (PS3.18 11.10.1.2)."""
    pairs = []
    for name, value in parse_pairs(request.raw_query):
        if name == "filter":
            for one in filter(None, value.split(",")):
                key, equals, text = one.partition("=")
                if equals:
                    pairs.append((key.strip(), text))
                elif pairs:  # a comma in a value
                    pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{one}")
        elif name not in _OTHER and name != "deletionlock":
            pairs.append((name, value))
    return pairs


def _number(name: str, value: str, largest: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise CodedError(codes.BAD_REQUEST, f'The argument "{name}" must be a number that is not negative')
    return min(int(value), largest)
