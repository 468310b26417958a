"""Seals: once a minute, what history and the audit hold is signed with a key outside the database.

The chains in the rows show a change to whoever does not mend them; somebody who may write the database can. A seal he
cannot mend: it covers the hashes of all rows written since the seal before, their count, and that seal's signature.
Only the new rows are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from vipflow.engine import sealfile
from vipflow.engine.sealfile import SealFault, SealPlace
from vipflow.errors import Busy
from vipflow.store import seals as store
from vipflow.store.chain import Digest
from vipflow.store.database import Database
from vipflow.store.seals import Seal
from vipflow.store.types import instant_text

__all__ = ["SealState", "Sealed", "begin_file_anew", "seal", "seal_state"]

PATIENCE = 2.0
"""Seconds to wait for who is writing history; a batch takes some 40 ms."""


class Sealed(msgspec.Struct, frozen=True):
    """What `seal` did: the seal that it made, None where there was nothing new or somebody else was at it."""

    seal: Seal | None
    rows: int = 0
    acts: int = 0
    busy: bool = False
    """Somebody else was sealing."""


class SealState(msgspec.Struct, frozen=True):
    """How far the seals reach. `problem`: why no more can be made; `remedy`: what to do about it."""

    seals: int
    last_at: datetime | None
    unsealed: int
    unsealed_since: datetime | None
    problem: str | None = None
    remedy: str | None = None


def seal(database: Database, place: SealPlace, now_of: Callable[[Connection], datetime]) -> Sealed:
    """Seals what is new, if anything is; and writes down here the seals that others made.

    Of several that try, on whatever machine, one does it. Raises SealFault where the key, the file or the database is
    not as the last seal left it, and Busy where somebody keeps writing for long: try again.
    """
    with place.held() as alone:
        if not alone:
            return Sealed(None, busy=True)
        last, key = _catch_up(database, place)
        with database.read() as connection:
            if store.last_positions(connection) == _reach(last):
                return Sealed(None)
        history_to, audit_to = _high_water(database)
        with database.read() as connection:
            made, digest = _made(connection, key, last, history_to, audit_to, now_of(connection))
        if not digest.rows and not digest.acts:
            return Sealed(None)
        place.announce(made)
        with database.write() as connection:
            kept = store.keep_seal(connection, made)
        if kept:
            place.append(made)
        place.made()
        return Sealed(made, digest.rows, digest.acts) if kept else Sealed(None, busy=True)


def seal_state(database: Database, place: SealPlace) -> SealState:
    """How things stand, at a glance: what is not sealed is counted, what is sealed is not looked at again."""
    with database.read() as connection:
        last = store.last_seal(connection)
        unsealed, since = store.unsealed(connection, *_reach(last))
    problem = remedy = None
    try:
        _check(place, place.read_key(), last)
    except SealFault as fault:
        problem, remedy = f"{fault.what}: {fault.problem}", fault.remedy
    last_at = None if last is None else datetime.fromisoformat(last.made_at)
    return SealState(0 if last is None else last.number, last_at, unsealed, since, problem, remedy)


def begin_file_anew(database: Database, place: SealPlace, now: datetime, *, dry_run: bool = False) -> str | None:
    """After a restored backup: sets the file of seals aside and writes a new one of those that the database has.

    Returns the name that the old one has then, None where there was none. Raises SealFault for a seal that was not made
    with the key, and where there is no key. With `dry_run` it only looks.
    """
    with place.held() as alone:
        if not alone:
            raise SealFault(f"the file of seals {place.file}", "somebody is sealing just now", "try again")
        key = place.read_key()
        with database.read() as connection:
            last = store.last_seal(connection)
            _check_key(place, key, last)
            aside = None
            if place.file.exists():
                ending = f"until-{now:%Y%m%dT%H%M%SZ}"
                aside = (place.beside(ending) if dry_run else place.set_aside(ending)).name
            if dry_run:
                return aside
            place.made()
            _write_down(connection, place, key, None)
    return aside


def _catch_up(database: Database, place: SealPlace) -> tuple[Seal | None, bytes]:
    """The newest seal, after seeing that key, file and database fit together and that the file has them all."""
    with database.read() as connection:
        last = store.last_seal(connection)
        key = place.read_key()
        if key is None and last is None and place.size() == 0:
            key = place.make_key()
        place.mend()
        _check(place, key, last)
        _write_down(connection, place, key, place.last())
    place.made()
    assert key is not None  # noqa: S101 - checked
    return last, key


def _check(place: SealPlace, key: bytes | None, last: Seal | None) -> None:
    """Raises SealFault where no seal can follow `last`, the newest that the database has."""
    if last is not None or place.size():
        _check_key(place, key, last)
    written = place.last()
    if written is None:
        return
    if last is None or written.number > last.number:
        missing = written.number - (0 if last is None else last.number)
        one = missing == 1
        raise SealFault(
            "the seals",
            f"{missing} seal{'' if one else 's'} {'is' if one else 'are'} in the file {place.file} and not in the "
            "database: a backup was restored, or somebody cut it",
            "look with `vipflow audit verify`; after a restored backup go on with `vipflow audit restored REASON`",
        )
    if written.number == last.number and written != last:
        raise SealFault(
            "the seals",
            f"seal {last.number} says one thing in the database and another in the file {place.file}",
            "look with `vipflow audit verify`",
        )


def _check_key(place: SealPlace, key: bytes | None, last: Seal | None) -> None:
    what = f"the key {place.key}"
    if key is None:
        problem = "it is not there, and there are seals made with one"
        raise SealFault(what, problem, "put it back from your backup, or copy it from the machine that made them")
    if last is not None and last.signed(key) != last.mac:
        raise SealFault(
            what,
            f"seal {last.number}, the newest of the database, was not made with it",
            "put back the key that it was made with; if this is the one, `vipflow audit verify` says what was changed",
        )


def _write_down(connection: Connection, place: SealPlace, key: bytes | None, written: Seal | None) -> None:
    """Writes into the file what the database has and the file not yet: other machines' seals, or a killed process's."""
    previous = written
    for made in store.seals_after(connection, 0 if written is None else written.number):
        if key is None or made.signed(key) != made.mac or made.previous != (previous.mac if previous else ""):
            problem = "it does not follow the one before, or was not made with the key"
            raise SealFault(f"seal {made.number} of the database", problem, "look with `vipflow audit verify`")
        place.append(made)
        previous = made


def _high_water(database: Database) -> tuple[int, int]:
    """Positions up to which nothing can appear any more. Waits for who is writing now, and nobody waits for it."""
    with database.read() as connection:
        reached = store.last_positions(connection)
        writing = store.writers_of_history(connection)
    deadline = time.monotonic() + PATIENCE
    pause = 0.005
    while writing:
        if time.monotonic() > deadline:
            raise Busy("the history", f"somebody has been writing it for {PATIENCE:g} s", "try again")
        time.sleep(pause)  # why: PostgreSQL tells nobody when others are done
        pause = min(2 * pause, 0.1)
        with database.read() as connection:
            writing &= store.writers_of_history(connection)
    return reached


def _made(
    connection: Connection, key: bytes, last: Seal | None, history_to: int, audit_to: int, now: datetime
) -> tuple[Seal, Digest]:
    digest = Digest()
    history_after, audit_after = _reach(last)
    for row in store.history_between(connection, history_after, history_to):
        digest.add_history(row)
    for row in store.acts_between(connection, audit_after, audit_to):
        digest.add_act(row)
    made = Seal(
        number=1 if last is None else last.number + 1,
        made_at=instant_text(now),
        history_to=max(history_to, history_after),
        history_rows=(0 if last is None else last.history_rows) + digest.rows,
        audit_to=max(audit_to, audit_after),
        digest=digest.text(),
        previous="" if last is None else last.mac,
        made_by=sealfile.THIS_MACHINE,
        mac="",
    )
    return replace(made, mac=made.signed(key)), digest


def _reach(last: Seal | None) -> tuple[int, int]:
    return (0, 0) if last is None else (last.history_to, last.audit_to)
