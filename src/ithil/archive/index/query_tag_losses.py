"""Values of declared query tags that studies and series lose with an instance.

A study or series has the value of one of its instances, and the row remembers of which. When that one is deleted,
replaced or looked at anew, the value goes with it, and a loss is noted in the same transaction. Files cannot be read
in there, so a sweep makes it good from another instance (`archive/query_tag_losses.py`). An instance that comes
meanwhile brings its own value, and then there is nothing left to be made good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil.archive.index import query_tags
from ithil.archive.index import tables as t
from ithil.archive.index.find_conditions import one_of
from ithil.archive.index.query_tags import Value
from ithil.archive.index.read import DICOM_FILE_COLUMNS, keys_for
from ithil.archive.index.statement import Row, Session, Statement
from ithil.dicom.level import Level

_v, _l, _x = t.query_tag_values.c, t.query_tag_losses.c, t.query_tag_errors.c
_i, _e, _s = t.instances.c, t.series.c, t.studies.c


class Loss(NamedTuple):
    """A study or series (its level and internal id) without a value in a tag, which another instance may have.

    `after`: instances with internal ids up to this one have none. `writers`: see `begin`; 0 at first. `times`: how
    often it was lost. `is_made_good`: it has a value again.
    """

    level: int
    resource: int
    tag: int
    after: int
    writers: int
    times: int
    is_made_good: bool


_OF_INSTANCE = sa.delete(t.query_tag_values).where(_v.instance == sa.bindparam("instance"))
_TAKE = Statement(_OF_INSTANCE.returning(_v.level, _v.resource, _v.tag))


def _note(insert: Callable[[Any], Any]) -> Any:
    names = ("level", "resource", "tag", "after", "writers", "times")
    statement = insert(t.query_tag_losses).values({name: sa.bindparam(name) for name in names})
    anew = {"after": 0, "writers": 0, "times": _l.times + 1}
    return statement.on_conflict_do_update(index_elements=["level", "resource", "tag"], set_=anew)


_NOTE = Statement(_note(sqlite_insert), postgresql=_note(postgresql_insert))


def lose(session: Session, instance: int) -> None:
    """Take the values of an instance that goes from its study and series."""
    _note_losses(session, session.all(_TAKE, {"instance": instance}))


def _note_losses(session: Session, lost: Iterable[Row]) -> None:
    places = sorted(set(lost))  # a row for each of several values
    if not places:
        return
    rows = [{"level": level, "resource": resource, "tag": tag} for level, resource, tag in places]
    session.run_many(_NOTE, [{**row, "after": 0, "writers": 0, "times": 1} for row in rows])


_DIALECTS = ("sqlite", "postgresql")
_TAKE_SOME = tuple(
    Statement(
        _OF_INSTANCE.where(one_of(_v.tag, "keys", sa.BigInteger, dialect)).returning(
            _v.level, _v.resource, _v.tag
        )
    )
    for dialect in _DIALECTS
)
_DROP_OWN = tuple(
    Statement(
        sa.delete(t.query_tag_values).where(
            _v.level == int(Level.INSTANCE),
            _v.resource == sa.bindparam("instance"),
            one_of(_v.tag, "keys", sa.BigInteger, dialect),
        )
    )
    for dialect in _DIALECTS
)
_DROP_ERRORS = tuple(
    Statement(
        sa.delete(t.query_tag_errors).where(
            _x.instance == sa.bindparam("instance"), one_of(_x.tag, "keys", sa.BigInteger, dialect)
        )
    )
    for dialect in _DIALECTS
)
_IDS = Statement(
    sa.select(_s.patient, _e.study, _i.series, _i.id)
    .select_from(sa.join(t.instances, t.series, _i.series == _e.id).join(t.studies, _e.study == _s.id))
    .where(_i.id == sa.bindparam("instance"))
)


def replace(
    session: Session, instance: int, tags: Iterable[int], values: Iterable[Value], now: float
) -> None:
    """Keep `values` instead of what an instance had in the tags with these keys; `now` in seconds since 1970."""
    ids = session.one(_IDS, {"instance": instance})
    if ids is None:
        return
    keys = list({tag.key for tag in query_tags.all_tags(session)} & set(tags))
    at = session.dialect != "sqlite"
    where = {"instance": instance, "keys": keys_for(session, keys)}
    session.run(_DROP_OWN[at], where)
    session.run(_DROP_ERRORS[at], where)
    lost = session.all(_TAKE_SOME[at], where)
    query_tags.put(session, [value for value in values if value.tag.key in keys], ids, now)
    _note_losses(session, lost)


# -- making good ---------------------------------------------------------------------------------------------

_HAS_VALUE = (
    sa.select(_v.position)
    .where(_v.level == _l.level, _v.resource == _l.resource, _v.tag == _l.tag, _v.position == 0)
    .exists()
)
_PAGE = Statement(
    sa.select(_l.level, _l.resource, _l.tag, _l.after, _l.writers, _l.times, _HAS_VALUE)
    .order_by(_l.level, _l.resource, _l.tag)
    .limit(sa.bindparam("limit"))
)
_SAME = (
    _l.level == sa.bindparam("of_level"),
    _l.resource == sa.bindparam("of_resource"),
    _l.tag == sa.bindparam("of_tag"),
    _l.times == sa.bindparam("of_times"),
)
_CLOSE = Statement(sa.delete(t.query_tag_losses).where(*_SAME))
_BEGIN = Statement(sa.update(t.query_tag_losses).where(*_SAME).values(writers=sa.bindparam("number")))
_LOOKED = Statement(sa.update(t.query_tag_losses).where(*_SAME).values(after=sa.bindparam("to")))


def _below(level: Level) -> Statement:
    return Statement(
        sa.select(_s.patient, _e.study, _i.series, _i.id, _i.pixel_data_offset, *DICOM_FILE_COLUMNS)
        .select_from(sa.join(t.instances, t.series, _i.series == _e.id).join(t.studies, _e.study == _s.id))
        .where(
            (_e.study if level == Level.STUDY else _i.series) == sa.bindparam("resource"),
            _i.id > sa.bindparam("after"),
        )
        .order_by(_i.id)
        .limit(sa.bindparam("limit"))
    )


_BELOW = {level: _below(level) for level in (Level.STUDY, Level.SERIES)}


def page(session: Session, limit: int) -> list[Loss]:
    """Up to `limit` losses; those of one resource follow each other."""
    return [Loss(*row) for row in session.all(_PAGE, {"limit": limit})]


def begin(session: Session, losses: Sequence[Loss]) -> None:
    """Note which transactions have to be over before one looks for other values.

    One that had written before the loss was committed may have found the value there, and kept none of its own.
    """
    if losses:
        number = query_tags.this_writer(session)
        session.run_many(_BEGIN, [{**_same(loss), "number": number} for loss in losses])


def instances(session: Session, loss: Loss, limit: int) -> list[Row]:
    """The next instances that may have the value, with the columns that `query_tags.page` gives."""
    values = {"resource": loss.resource, "after": loss.after, "limit": limit}
    return session.all(_BELOW[Level(loss.level)], values)


def close(session: Session, losses: Sequence[Loss]) -> None:
    """Strike losses from the list, but for those that have happened again."""
    session.run_many(_CLOSE, [_same(loss) for loss in losses])


def looked(session: Session, losses: Sequence[Loss], after: int) -> None:
    """Note that instances up to `after` have no value."""
    session.run_many(_LOOKED, [{**_same(loss), "to": after} for loss in losses])


def _same(loss: Loss) -> dict[str, int]:
    return {
        "of_level": loss.level,
        "of_resource": loss.resource,
        "of_tag": loss.tag,
        "of_times": loss.times,
    }
