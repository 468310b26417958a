"""However many customers there are, a look costs the same: indexes, and counts that stop."""

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.doctor.conftest import Place
from vipflow.operations.doctor import Limits

LONG_AGO = "'2024-01-01T00:00:00.000000Z'"
TABLES = {
    "subjects": {
        "ref": "printf('C-%d', i)",
        "workflow": "'customer'",
        "sequence": "1",
        "tally": "'{}'",
        "opened_at": LONG_AGO,
        "owner": "'bob@north-licences.net'",
    },
    "cases": {
        "ref": "printf('PA-%d', i)",
        "subject": "printf('C-%d', i)",
        "workflow": "'purchase_authorization'",
        "state": "'pending'",
        "settled": "0",
        "facts": "'{}'",
        "facts_version": "1",
        "policy": "'p'",
        "since": LONG_AGO,
        "opened_at": LONG_AGO,
        "version": "1",
    },
    "timers": {
        "case_ref": "printf('PA-%d', i)",
        "name": "'remind'",
        "subject": "printf('C-%d', i)",
        "workflow": "'purchase_authorization'",
        "event": "'remind'",
        "due_at": LONG_AGO,
        "wake_at": LONG_AGO,
        "armed_by": "1",
    },
    "messages": {
        "key": "printf('m-%d', i)",
        "subject": "printf('C-%d', i)",
        "case_ref": "'x'",
        "workflow": "'x'",
        "template": "'x'",
        "audience": "'contact'",
        "person": "'{}'",
        "language": "'fr'",
        "context": "'{}'",
        "created_at": LONG_AGO,
        "effective_at": LONG_AGO,
        "not_before": LONG_AGO,
        "state": "CASE i % 4 WHEN 0 THEN 'dead' WHEN 1 THEN 'waiting' WHEN 2 THEN 'held' ELSE 'sending' END",
        "claimed_at": LONG_AGO,
    },
    "incidents": {
        "id": "printf('I-%d', i)",
        "kind": "'quarantined'",
        "cause": "printf('c-%d', i)",
        "says": "'{}'",
        "opened_at": LONG_AGO,
    },
    "history": {
        "subject": "printf('C-%d', i)",
        "sequence": "1",
        "case_ref": "'x'",
        "workflow": "'x'",
        "event": "'x'",
        "to_state": "'x'",
        "facts_before": "'{}'",
        "facts_after": "'{}'",
        "timers": "'[]'",
        "messages": "'[]'",
        "policy": "'p'",
        "fingerprint": "'f'",
        "effective_at": LONG_AGO,
        "recorded_at": LONG_AGO,
        "actor_kind": "'staff'",
        "cause": "printf('c-%d', i)",
    },
}


def _fill(place: Place, first: int, last: int) -> None:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
    with place.database.write() as connection:
        for table, columns in TABLES.items():
            names = ", ".join(("tenant", *columns))
            values = ", ".join((str(place.tenant), *columns.values()))
            connection.exec_driver_sql(f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_look_costs_does_not_grow_with_the_customers(place: Place) -> None:
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    def count(connection: object, record: object) -> None:
        connection.set_progress_handler(step, 100)  # type: ignore[attr-defined]  # why: it is sqlite3's

    def cost() -> int:
        nonlocal steps
        steps = 0
        report = place.examine(
            "daemon", "stuck", "holds", "audit", "clock", "resellers", "files", limits=Limits(rows=2000)
        )
        assert not [each for each in report.findings if "could not be looked at" in each.says]
        return steps

    event.listen(Engine, "connect", count)
    try:
        with place.database.write() as connection:
            connection.exec_driver_sql("UPDATE team SET active = 0 WHERE role = 'account_manager'")
        _fill(place, 1, 45_000)  # so that every count stops
        few = cost()
        _fill(place, 45_001, 90_000)
        many = cost()
    finally:
        event.remove(Engine, "connect", count)
    assert few > 100, "it was measured"
    assert many < 1.1 * few
