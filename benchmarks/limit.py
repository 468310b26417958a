"""The limit: hand-written, set-based SQL that reads and writes the rows of a batch, and decides nothing.

No program that keeps these tables can be faster than this. A batch is a table of what is to happen to whom (`batch`);
the rows that each kind of transition leaves stand in the tables of `traces`. Everything else is one INSERT … SELECT,
UPDATE or DELETE per table, in one transaction per batch, on a connection that the store opened: with the same indexes,
foreign keys and durability as ours. The texts are as long as ours and say what they say of another customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, text

from benchmarks.traces import Traces, lay_out
from benchmarks.world import TENANT
from vipflow.store.database import Database, DialectName
from vipflow.store.types import UtcDateTime

_BATCH = (
    """
    CREATE TEMPORARY TABLE batch
        (trace text, number text, subject text, sequence int, moved text, opened text, event_id text, path text,
         read int)
    """,
    "CREATE TEMPORARY TABLE posted (trace text, number text, event_id text, path text, data text)",
)

_EMPTY: dict[DialectName, tuple[str, ...]] = {
    "sqlite": ("DELETE FROM batch", "DELETE FROM posted"),
    "postgresql": ("TRUNCATE batch, posted",),
}

# What is due, whose it is, and all that a decision would read of it. CROSS JOIN holds SQLite to the order written.
_DUE = """
    INSERT INTO batch (trace, number, subject, sequence, moved, read)
    SELECT due.workflow || '.' || due.event, '', due.subject, s.sequence, due.case_ref,
           (SELECT sum(length(c.facts)) FROM cases c
             WHERE c.tenant = :tenant AND c.subject = due.subject AND c.settled IS FALSE)
         + (SELECT count(t.due_at) FROM cases c CROSS JOIN timers t
             WHERE c.tenant = :tenant AND c.subject = due.subject AND c.settled IS FALSE
               AND t.tenant = :tenant AND t.case_ref = c.ref)
      FROM (SELECT t.tenant, t.subject, t.case_ref, t.name, t.workflow, t.event FROM timers t
             WHERE t.wake_at <= :now ORDER BY t.wake_at LIMIT :most) due
      JOIN subjects s ON s.tenant = due.tenant AND s.ref = due.subject
"""

_POSTED: dict[DialectName, str] = {
    "sqlite": """
        INSERT INTO posted (trace, number, event_id, path, data)
        SELECT line.value ->> 'type', substr(line.value ->> 'id', 2), line.value ->> 'id', line.value ->> 'subject',
               line.value ->> 'data'
          FROM json_each(:lines) line
    """,
    "postgresql": """
        INSERT INTO posted (trace, number, event_id, path, data)
        SELECT line ->> 'type', substr(line ->> 'id', 2), line ->> 'id', line ->> 'subject', line ->> 'data'
          FROM json_array_elements(CAST(:lines AS json)) line
    """,
}

# Whom each event is for: by the name in its path ("customers/c000123…"), unless it was received before. New references
# come in no order, as ours do: neighbours in the file are far apart in an index.
_ADDRESSED = """
    INSERT INTO batch (trace, number, subject, sequence, moved, opened, event_id, path, read)
    SELECT p.trace, p.number, n.subject, s.sequence,
           (SELECT c.ref FROM cases c
             WHERE c.tenant = :tenant AND c.subject = n.subject AND c.settled IS FALSE AND c.workflow = k.moves),
           {reference}, p.event_id, p.path,
           (SELECT sum(length(c.facts)) FROM cases c
             WHERE c.tenant = :tenant AND c.subject = n.subject AND c.settled IS FALSE)
         + (SELECT count(t.due_at) FROM cases c CROSS JOIN timers t
             WHERE c.tenant = :tenant AND c.subject = n.subject AND c.settled IS FALSE
               AND t.tenant = :tenant AND t.case_ref = c.ref)
      FROM posted p CROSS JOIN traces k CROSS JOIN names n CROSS JOIN subjects s
      LEFT JOIN inbox i ON i.tenant = :tenant AND i.source = 'erp' AND i.event_id = p.event_id
     WHERE k.trace = p.trace AND s.tenant = :tenant AND s.ref = n.subject AND i.event_id IS NULL
       AND n.tenant = :tenant AND n.collection = 'customers' AND n.value = substr(p.path, 11, 7)
"""
_SCATTERED = "CAST(p.number AS bigint) * 2654435761 % 100000000"
_REFERENCE: dict[DialectName, str] = {
    "sqlite": f"k.prefix || printf('-%04d-%04d', {_SCATTERED} / 10000, {_SCATTERED} % 10000)",
    "postgresql": f'k.prefix || to_char({_SCATTERED}, \'FM"-"0000"-"0000\')',
}

_LOCKED: dict[DialectName, str] = {"sqlite": "", "postgresql": " FOR UPDATE OF s SKIP LOCKED"}

_WRITES = (
    """
    DELETE FROM timers
     WHERE tenant = :tenant
       AND case_ref IN (SELECT b.moved FROM batch b JOIN gone_timers g ON g.trace = b.trace)
       AND name IN (SELECT g.name FROM gone_timers g)
    """,
    """
    UPDATE subjects
       SET sequence = b.sequence + k.steps, tally = k.tally, membership_state = k.membership_state,
           pending_count = k.pending_count, late_count = k.late_count, licence_count = k.licence_count,
           in_no_products = k.in_no_products, in_pending = k.in_pending, in_late = k.in_late,
           in_upcoming = k.in_upcoming, in_ready = k.in_ready, next_due = k.next_due, next_event = k.next_event,
           head = :hash
      FROM batch b JOIN traces k ON k.trace = b.trace
     WHERE subjects.tenant = :tenant AND subjects.ref = b.subject
    """,
    """
    UPDATE cases
       SET state = k.state, settled = k.settled, facts = k.facts, since = k.since, version = version + 1
      FROM batch b JOIN traces k ON k.trace = b.trace
     WHERE cases.tenant = :tenant AND cases.ref = b.moved
    """,
    """
    INSERT INTO cases
           (tenant, ref, subject, workflow, state, settled, facts, facts_version, policy, since, opened_at, version)
    SELECT :tenant, b.opened, b.subject, l.workflow, l.state, l.settled, l.facts, l.facts_version, l.policy, l.since,
           l.opened_at, l.version
      FROM batch b JOIN left_cases l ON l.trace = b.trace
    """,
    """
    INSERT INTO timers (tenant, case_ref, name, subject, workflow, event, due_at, wake_at, errors, armed_by)
    SELECT :tenant, CASE l.whose WHEN 'moved' THEN b.moved ELSE b.opened END, l.name, b.subject, l.workflow, l.event,
           l.due_at, l.due_at, 0, b.sequence + l.nth
      FROM batch b JOIN left_timers l ON l.trace = b.trace
    """,
    """
    INSERT INTO history
           (tenant, subject, sequence, case_ref, workflow, event, from_state, to_state, facts_before, facts_after,
            timers, messages, policy, fingerprint, effective_at, recorded_at, actor_kind, actor, reason, cause, source,
            event_id, note, salt, digest, hash)
    SELECT :tenant, b.subject, b.sequence + l.nth, CASE l.whose WHEN 'moved' THEN b.moved ELSE b.opened END, l.workflow,
           l.event, l.from_state, l.to_state, l.facts_before, l.facts_after, l.timers, l.messages, l.policy,
           l.fingerprint, l.effective_at, :now, l.actor_kind, l.actor, l.reason,
           replace(replace(l.cause, '######', b.number), '$moved', coalesce(b.moved, '')), l.source, b.event_id, l.note,
           :salt, :hash, :hash
      FROM batch b JOIN left_steps l ON l.trace = b.trace
    """,
    """
    INSERT INTO messages
           (tenant, key, subject, case_ref, workflow, template, audience, ladder, person, language, context,
            created_at, effective_at, not_before, state, recipient)
    SELECT :tenant,
           CASE l.whose WHEN 'moved' THEN b.moved ELSE b.opened END
               || ':' || (b.sequence + l.nth) || ':' || l.template || ':' || l.audience,
           b.subject, CASE l.whose WHEN 'moved' THEN b.moved ELSE b.opened END, l.workflow, l.template, l.audience,
           l.ladder, l.person, l.language, l.context, :now, l.effective_at, l.not_before, l.state,
           'contact'
      FROM batch b JOIN left_messages l ON l.trace = b.trace
    """,
)
_WRITES_OF_EVENTS = (
    """
    INSERT INTO names (tenant, collection, value, case_ref, subject, kind, exclusive)
    SELECT :tenant, l.collection, replace(l.value, '######', b.number),
           CASE l.whose WHEN 'moved' THEN b.moved ELSE b.opened END, b.subject, l.sort, l.exclusive
      FROM batch b JOIN left_names l ON l.trace = b.trace
    """,
    """
    INSERT INTO inbox
           (tenant, source, event_id, body_hash, type, subject, occurred_at, received_at, verdict, case_ref,
            subject_ref, sequence)
    SELECT :tenant, 'erp', b.event_id, k.body_hash, b.trace, b.path, :now, :now, 'applied',
           CASE k.answers WHEN 'moved' THEN b.moved ELSE b.opened END, b.subject, b.sequence + 1
      FROM batch b JOIN traces k ON k.trace = b.trace
    """,
)


class Limit:
    """The statements, ready to run on one database."""

    def __init__(self, database: Database, traces: Traces) -> None:
        self.database = database
        locked = _LOCKED[database.dialect]
        addressed = _ADDRESSED.format(reference=_REFERENCE[database.dialect])
        self._due = _ready(_DUE + locked)
        self._posted = [_ready(_POSTED[database.dialect]), _ready(addressed)]
        self._writes = [_ready(each) for each in _WRITES]
        self._writes_of_events = [_ready(each) for each in (*_WRITES, *_WRITES_OF_EVENTS)]
        self._empty = [text(each) for each in _EMPTY[database.dialect]]
        with database.write() as connection:
            for statement in _BATCH:
                connection.execute(text(statement))
            lay_out(connection, traces)

    def drain(self, now: datetime, batch: int) -> int:
        """Moves all that is due at `now`. Gives how many timers that were."""
        moved = 0
        while True:
            with self.database.write() as connection:
                found = connection.execute(self._due, {"tenant": TENANT, "now": now, "most": batch}).rowcount
                self._write(connection, self._writes, now)
            if not found:
                return moved
            moved += found

    def post(self, lines: Sequence[str], now: datetime, batch: int) -> int:
        """Writes what a file of events leads to. Gives how many there were."""
        written = 0
        for start in range(0, len(lines), batch):
            with self.database.write() as connection:
                some = f"[{','.join(lines[start : start + batch])}]"
                connection.execute(self._posted[0], {"lines": some})
                written += connection.execute(self._posted[1], {"tenant": TENANT}).rowcount
                self._write(connection, self._writes_of_events, now)
        return written

    def _write(self, connection: Connection, statements: Sequence[TextClause], now: datetime) -> None:
        given: dict[str, Any] = {"tenant": TENANT, "now": now, "salt": "s" * 22, "hash": "h" * 43}
        for statement in statements:
            known = {name: given[name] for name in given if f":{name}" in statement.text}
            connection.execute(statement, known)
        for statement in self._empty:
            connection.execute(statement)


def _ready(statement: str) -> TextClause:
    made = text(statement)
    return made.bindparams(bindparam("now", type_=UtcDateTime)) if ":now" in statement else made
