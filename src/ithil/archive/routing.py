"""Routing as data: the rules that count, and the deliveries that follow from them.

A rule comes from the configuration, where the REST API cannot change it, or from the REST API, and then lives
in the index. A delivery is one study on its way to one destination; it carries the rule as it was, so that it
goes on if the rule is changed or removed. `ithil.services.routing` does what is written down here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import orjson

from ithil import error_codes as codes
from ithil.archive import clock, find, resources
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import deliveries as rows
from ithil.archive.index.statement import Session
from ithil.archive.matching import BadMatch, parse
from ithil.archive.query import BadQuery, Constraint, LabelsConstraint, Query
from ithil.archive.remotes import Directory
from ithil.dicom.dictionary import parse_tag
from ithil.dicom.level import Level
from ithil.error_codes import CodedError
from ithil.settings.routing_rules import RoutingRule, parse_rule, rule_json

_STUDY_INSTANCE_UID = 0x0020000D

KEPT: Directory[RoutingRule] = Directory(
    "routing-rule", "routing rule", parse_rule, lambda _settings: {}, lambda _settings: True
)
"""The rules that were made through the REST API."""


class DeliveryState(StrEnum):
    """Where a delivery stands. One that has arrived is not kept."""

    WAITING = "Waiting"
    SENDING = "Sending"
    FAILED = "Failed"


@dataclass(slots=True)
class Delivery:
    """One study on its way to one destination. Times are in seconds since 1970."""

    id: str
    rule: str
    how: dict[str, Any]  # the rule's JSON
    study: str
    created: float
    state: DeliveryState = DeliveryState.WAITING
    due: float = 0.0
    attempts: int = 0
    job: str = ""  # of the present attempt, or of the last one
    error_code: int = 0
    error: str = ""

    @property
    def place(self) -> str:
        """Its key among those of its state."""
        return f"{rows.moment(self.due)}-{self.id}" if self.state == DeliveryState.WAITING else self.id

    def pack(self) -> bytes:
        """As it is stored."""
        return orjson.dumps(asdict(self))


def unpack(record: bytes) -> Delivery:
    """What `Delivery.pack` made."""
    fields = orjson.loads(record)
    return Delivery(**{**fields, "state": DeliveryState(fields["state"])})


def rules(archive: Archive) -> dict[str, RoutingRule]:
    """All rules by name, sorted; those of the configuration hide others of their name."""
    return dict(sorted({**KEPT.all(archive), **archive.settings.ithil.routing_rules}.items()))


def put_rule(archive: Archive, name: str, value: Any) -> None:
    """Make or change a rule.

    Raises CodedError: bad file format for what is none, forbidden access for one of the configuration. Raises
    ReadOnly.
    """
    _refuse_configured(archive, name)
    if len(name) > 64:
        raise CodedError(codes.BAD_FILE_FORMAT, "The name of a rule has at most 64 characters")
    if isinstance(value, dict) and isinstance(value.get("Query"), dict):
        for tag, text in value["Query"].items():
            _constraint(tag, text)
    KEPT.put(archive, name, value)


def remove_rule(archive: Archive, name: str) -> bool:
    """Forget a rule; False if there is none. Raises CodedError (forbidden access), ReadOnly."""
    _refuse_configured(archive, name)
    return KEPT.remove(archive, name)


def _refuse_configured(archive: Archive, name: str) -> None:
    if name in archive.settings.ithil.routing_rules:
        raise CodedError(
            codes.FORBIDDEN_ACCESS, "This rule is in the configuration, where alone it can be changed"
        )


def query_of(rule: RoutingRule, study_instance_uid: str = "") -> Query:
    """The search that finds the studies of a rule. Raises CodedError (bad file format)."""
    asked = [_constraint(name, text) for name, text in rule.query.items()]
    if study_instance_uid:
        asked.append(_constraint("0020000d", study_instance_uid))
    return Query(
        level=Level.STUDY,
        constraints=tuple(one for one in asked if one is not None),
        labels=rule.labels,
        labels_constraint=LabelsConstraint.ALL,
        labelled=bool(rule.labels),
    )


def _constraint(name: str, text: Any) -> Constraint | None:
    try:
        tag = parse_tag(name)
        match = parse(tag, text) if isinstance(text, str) else None
    except (ValueError, BadMatch) as error:
        raise CodedError(codes.BAD_FILE_FORMAT, "A rule asks for an unknown tag or a bad pattern") from error
    return None if match is None else Constraint(tag, match)


def matches(archive: Archive, rule: RoutingRule, study: str) -> bool:
    """Whether a study is one of those of a rule. Raises CodedError for a rule that cannot be asked."""
    found = resources.read(archive, Level.STUDY, study)
    if found is None or not rule.enabled:
        return False
    query = query_of(rule, found.main_tags.get(_STUDY_INSTANCE_UID, ""))
    try:
        return any(study in batch for batch in find.ids(archive, query))
    except BadQuery as error:
        raise CodedError(codes.BAD_FILE_FORMAT, str(error)) from error


def new(seq: int, name: str, rule: RoutingRule, study: str) -> Delivery:
    """The delivery that follows from the change with that number; always the same for the same change."""
    now, _ = clock.now()
    how = {key: value for key, value in rule_json(rule).items() if key not in ("Query", "Labels")}
    return Delivery(f"{seq:015d}-{name}", name, how, study, created=now, due=now)


# -- the queue -----------------------------------------------------------------------------------------------


def put(session: Session, delivery: Delivery) -> None:
    """Write a delivery under its state."""
    rows.put(session, delivery.id, delivery.pack(), delivery.state, delivery.place)


def get(archive: Archive, key: str) -> Delivery | None:
    """The delivery with that id."""
    if "\0" in key or len(key) > 200:
        return None
    with archive.index.read() as session:
        record = rows.read(session, key)
    return None if record is None else unpack(record)


def page(archive: Archive, after: str, limit: int) -> list[Delivery]:
    """Up to `limit` deliveries after that id, the oldest first."""
    with archive.index.read() as session:
        return [unpack(record) for record in rows.page(session, after, limit)]


def counts(archive: Archive) -> dict[str, int]:
    """How many deliveries there are in each state."""
    with archive.index.read() as session:
        return {state.value: rows.count(session, state) for state in DeliveryState}


def retry(archive: Archive, key: str) -> bool:
    """Have a delivery tried at once that waits or has failed; False if it is not one of these."""
    return _change(archive, key, removed=False)


def remove(archive: Archive, key: str) -> bool:
    """Forget a delivery that waits or has failed; False if it is not one of these."""
    return _change(archive, key, removed=True)


def _change(archive: Archive, key: str, *, removed: bool) -> bool:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    if "\0" in key or len(key) > 200:
        return False
    now, _ = clock.now()

    def work(session: Session) -> bool:
        record = rows.read(session, key)
        delivery = None if record is None else unpack(record)
        if delivery is None or delivery.state == DeliveryState.SENDING:
            return False
        if not rows.take(session, delivery.state, delivery.place):
            return False
        if removed:
            rows.forget(session, key)
        else:
            delivery.state, delivery.due, delivery.attempts = DeliveryState.WAITING, now, 0
            put(session, delivery)
        return True

    return archive.index.write(work)


def in_state(archive: Archive, state: DeliveryState, limit: int) -> Iterator[Delivery]:
    """Up to `limit` deliveries in a state other than waiting."""
    with archive.index.read() as session:
        records = [rows.read(session, key) for key in rows.places(session, state, limit)]
    yield from (unpack(record) for record in records if record is not None)


def due(archive: Archive, seconds: float, limit: int) -> list[Delivery]:
    """Up to `limit` deliveries that wait and are due at a moment."""
    with archive.index.read() as session:
        keys = [place.partition("-")[2] for place in rows.due(session, DeliveryState.WAITING, seconds, limit)]
        records = [rows.read(session, key) for key in keys]
    return [unpack(record) for record in records if record is not None]
