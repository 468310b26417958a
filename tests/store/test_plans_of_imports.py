"""What an import asks for two hundred lines at once goes through an index, whichever way customers may be alike."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.store.test_plans import plan_of, scans
from vipflow.store import reading
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.store.tables import LISTS, subjects, tenants
from vipflow.store.writes import Insert

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
QUESTIONS = {
    "name": (reading._named_alike, "name {}"),
    "domain": (reading._domain_alike, "c{}.example"),
    "address": (reading._email_alike, "zoe@c{}.example"),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """5,000 customers, each with a name and a domain of its own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/vipflow.db"
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.url_for(server.create_database("plans"))
    made = open_database(url, durability="off")
    create_all(made)
    of_tenant = ["id", "key", "name", "language", "zone", "policy", "settings", "created_at"]
    known = ["tenant", "ref", "workflow", "sequence", "tally", "opened_at", "name", "name_folded", "country"]
    known += ["email", "email_domain", *(f"in_{name}" for name in LISTS)]
    with made.write() as connection:
        Insert(tenants, of_tenant).run(connection, [(1, "a", "A", "fr", "Europe/Paris", "p", "{}", NOW)])
        rows = [
            (
                *(1, f"{n:08}", "customer", 1, "{}", NOW, f"Name {n}", f"name {n}", "FR"),
                *(f"Zoe@c{n}.example", f"c{n}.example", *(False for _ in LISTS)),
            )
            for n in range(5000)
        ]
        Insert(subjects, known).run(connection, rows)
    yield made
    made.dispose()


@pytest.mark.parametrize("counted", [False, True], ids=["uncounted", "counted"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_look_alikes_are_found_through_an_index(database: Any, question: str, counted: bool) -> None:
    statement, mark = QUESTIONS[question]
    asked = {"tenant": 1, "values": [mark.format(n) for n in range(0, 400, 2)], "most": 2000}
    with database.write() as connection:
        if counted:
            connection.exec_driver_sql("ANALYZE")
        assert len(connection.execute(statement, asked).all()) == 200
        plan = plan_of(connection, statement, asked)
    assert not scans(plan, subjects), plan
