"""From a `Query` to the `Plan` that answers it: which conditions SQL can tell, and what is left to be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ithil.archive.index import query_tag_conditions as query_tags
from ithil.archive.index.find import Check, MomentCheck, Plan, Probe
from ithil.archive.index.find_columns import (
    IN_STUDY,
    INSTANCE_AVAILABILITY,
    LAST_UPDATE,
    Form,
    Place,
    place_of,
)
from ithil.archive.index.find_compare import Certainty, compare
from ithil.archive.index.find_conditions import (
    Above,
    Below,
    Compare,
    Condition,
    Either,
    HasMetadata,
    InStudy,
    Labelled,
    Never,
)
from ithil.archive.index.find_order import newest_first, order_keys
from ithil.archive.matching import Equal, Fuzzy, Item, OneOf, Wildcard, accepts
from ithil.archive.query import (
    BadQuery,
    Constraint,
    LabelsConstraint,
    MetadataConstraint,
    Moment,
    Query,
)
from ithil.archive.sequence_match import holds
from ithil.dicom.level import Level


def plan(
    query: Query,
    dialect: str,
    main_tags: Mapping[Level, Sequence[int]],
    declared: query_tags.Declared = lambda: (),
) -> Plan:
    """The plan of a query; `declared` are the query tags, asked for if the main tags do not tell.

    Raises BadQuery for an order that the index cannot give.
    """
    made = Plan(query.level, dialect)
    by_level: dict[Level, list[Condition]] = {level: [] for level in Level}
    for number, constraint in enumerate(query.constraints):
        name = f"p{number}"
        if _is_elsewhere(constraint, query.level, main_tags) and _by_query_tags(
            made, by_level, name, constraint, declared
        ):
            continue
        _add_constraint(made, by_level, name, constraint, main_tags, open_files=query.open_files)
    for number, moment in enumerate(query.moments):
        _add_moment(made, by_level, f"t{number}", moment, main_tags)
    for number, about in enumerate(query.metadata):
        _add_metadata(made, by_level[query.level], f"m{number}", about)
    _add_labels(made, by_level[query.level], query)
    for number, (level, public_id) in enumerate(query.parents):
        by_level[level].append(Compare("public_id", "=", f"parent{number}"))
        made.values[f"parent{number}"] = public_id
        made.driven = True
    _join_levels(made, by_level)
    if any(_finds(each, made.level, main_tags) for each in query.constraints) or query.parents:
        made.probe = None
        made.selective = True
    made.order = order_keys(query.order, query.level, main_tags)
    if query.newest_first and not made.order:
        made.order = (newest_first(query.level),)
    return made


def _finds(constraint: Constraint, level: Level, main_tags: Mapping[Level, Sequence[int]]) -> bool:
    """Whether an index leads straight to the rows that satisfy the constraint."""
    place = place_of(constraint.tag, level, main_tags)
    exact = isinstance(constraint.match, Equal | OneOf)
    return exact and place is not None and place.indexed and place.level <= level


def _join_levels(made: Plan, by_level: Mapping[Level, list[Condition]]) -> None:
    """Make conditions on the levels above and below conditions on the rows of the searched one."""
    above: tuple[Condition, ...] = ()
    for level in list(Level)[: made.level]:
        above = (*(_lifted(level, above)), *by_level[level])
    below: tuple[Condition, ...] = ()
    for level in reversed(list(Level)[made.level + 1 :]):
        below = (*by_level[level], *((Below(level, below),) if below else ()))
    made.conditions += [*_lifted(made.level, above), *by_level[made.level]]
    if below:
        made.conditions.append(Below(made.level, below))
        made.conditions_below = below


def _lifted(level: Level, above: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return (Above(level, above),) if above else ()


# -- tags ----------------------------------------------------------------------------------------------------


def _is_elsewhere(constraint: Constraint, level: Level, main_tags: Mapping[Level, Sequence[int]]) -> bool:
    """Whether no column and no main tag tells of it."""
    tag = constraint.tag
    if isinstance(constraint.match, Item):
        return True
    return tag != INSTANCE_AVAILABILITY and tag not in IN_STUDY and place_of(tag, level, main_tags) is None


def _by_query_tags(
    made: Plan,
    by_level: Mapping[Level, list[Condition]],
    name: str,
    constraint: Constraint,
    declared: query_tags.Declared,
) -> bool:
    """Add what declared query tags say of a constraint; whether that is all there is to say."""
    found = query_tags.conditions(constraint, declared, name, made.dialect)
    for level, condition in found.conditions:
        by_level[level].append(condition)
        made.driven = made.driven or level <= made.level
    made.values |= found.values
    return found.exact


def _add_constraint(
    made: Plan,
    by_level: Mapping[Level, list[Condition]],
    name: str,
    constraint: Constraint,
    main_tags: Mapping[Level, Sequence[int]],
    *,
    open_files: bool,
) -> None:
    tag, match, case_sensitive = constraint.tag, constraint.match, constraint.case_sensitive
    if isinstance(match, Item):
        if open_files:
            made.sequence_checks.append(holds(tag, match, case_sensitive=case_sensitive))
        else:
            by_level[made.level].append(Never())
        return
    accept = accepts(match, case_sensitive=case_sensitive)
    if tag == INSTANCE_AVAILABILITY:
        if not accept("ONLINE"):
            by_level[made.level].append(Never())
        return
    if tag in IN_STUDY and not isinstance(match, Fuzzy):
        column, of_instances = IN_STUDY[tag]
        place = Place(Level.STUDY, column, Form.CODE, json="")
        found = compare(place, "", match, name, case_sensitive=case_sensitive, dialect=made.dialect)
        by_level[Level.STUDY] += [InStudy(condition, of_instances) for condition in found.conditions]
        if not of_instances:
            _add_probe(made, Probe(Level.SERIES, "study", found.conditions, 2))
        made.values |= found.values
        return
    known = place_of(tag, made.level, main_tags)
    if known is None:
        if open_files:
            made.file_checks.append((tag, accept))
        else:
            by_level[made.level].append(Never())
        return
    key = f"{tag:08x}"
    found = compare(known, key, match, name, case_sensitive=case_sensitive, dialect=made.dialect)
    by_level[known.level] += found.conditions
    made.values |= found.values
    if found.certainty is not Certainty.ALWAYS:
        check = Check(known.level, known.json, key, accept, found.certainty is Certainty.UNLESS_LOST)
        (made.checks if known.level <= made.level else made.checks_below).append(check)
    if known.indexed and known.level <= made.level:
        made.driven = True
    if known.level == Level.STUDY and known.column is not None and match != _ANYTHING:
        _add_probe(made, Probe(Level.STUDY, "id", found.conditions, 0 if known.indexed else 1))


_ANYTHING = Wildcard("*")


def _add_probe(made: Plan, probe: Probe) -> None:
    if made.level == Level.STUDY and (made.probe is None or probe.rank < made.probe.rank):
        made.probe = probe


def _add_moment(
    made: Plan,
    by_level: Mapping[Level, list[Condition]],
    name: str,
    moment: Moment,
    main_tags: Mapping[Level, Sequence[int]],
) -> None:
    """The index finds the days; the time counts on the first and the last of them alone."""
    place, of_time = (
        place_of(moment.date, made.level, main_tags),
        place_of(moment.time, made.level, main_tags),
    )
    if place is None or of_time is None or place.level != of_time.level or not place.json:
        raise BadQuery("Date and time of a moment must be main tags of one level")
    found = compare(
        place, f"{moment.date:08x}", moment.dates, name, case_sensitive=True, dialect=made.dialect
    )
    by_level[place.level] += found.conditions
    made.values |= found.values
    dates, times = moment.dates, moment.times
    check = MomentCheck(
        place.level,
        place.json,
        f"{moment.date:08x}",
        f"{moment.time:08x}",
        None if dates.lower is None else dates.lower + (times.lower or ""),
        None if dates.upper is None else dates.upper + (times.upper or ""),
    )
    (made.checks if place.level <= made.level else made.checks_below).append(check)
    if place.indexed and place.level <= made.level:
        made.driven = True


# -- metadata and labels -------------------------------------------------------------------------------------


def _add_metadata(made: Plan, conditions: list[Condition], name: str, about: MetadataConstraint) -> None:
    accept = accepts(about.match, case_sensitive=about.case_sensitive)
    if about.number == LAST_UPDATE:
        if made.level == Level.INSTANCE:
            conditions.append(Never())
            return
        place = Place(made.level, "last_update", Form.RAW, json="")
        found = compare(place, "", about.match, name, case_sensitive=True, dialect=made.dialect)
        conditions += found.conditions
        made.values |= found.values
        return
    place = Place(made.level, None, json="metadata")
    found = compare(
        place, str(about.number), about.match, name, case_sensitive=about.case_sensitive, dialect=made.dialect
    )
    conditions.append(Either(HasMetadata(made.level, about.number), found.conditions[0]))
    made.values |= found.values
    made.metadata_checks.append((about.number, accept))


def _add_labels(made: Plan, conditions: list[Condition], query: Query) -> None:
    labels = list(dict.fromkeys(query.labels))
    if labels:
        conditions.append(Labelled(made.level, query.labels_constraint.value))
        made.values["labels"] = labels
        if query.labels_constraint is LabelsConstraint.ALL:
            made.values["label_count"] = len(labels)
    elif query.labelled and query.labels_constraint is LabelsConstraint.NONE:
        conditions.append(Labelled(made.level, "None", bare=True))
