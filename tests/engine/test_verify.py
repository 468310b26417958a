"""`verify` finds a clean database clean, and names everything that somebody breaks in it."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, Update, create_engine, make_url, update

from tests import postgres
from tests.engine.workshop import WORKSHOP, WorkshopTrade
from tests.engine.worlds import START, World, opened
from vipflow.case import View
from vipflow.engine.sealfile import SealPlace
from vipflow.engine.seals import seal
from vipflow.engine.verify import INVARIANTS, Report, verify
from vipflow.facts import encode_facts
from vipflow.store.audit import Act, remember_acts
from vipflow.store.database import Database
from vipflow.store.schema import create_all
from vipflow.store.tables import messages
from vipflow.store.tenants import add_tenant
from vipflow.workflow import Facts, Name

DAY = timedelta(days=1)
END = START + 21 * DAY


@dataclass(frozen=True, kw_only=True)
class _SeenFromWithin(Database):
    """A database as a transaction of it sees it that was not committed."""

    within: Connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self.within


@dataclass
class Lived:
    """A database in which something happened, and the references of those to whom it did."""

    world: World
    url: str
    refs: dict[str, str]

    def verify(self, database: Database | None = None, **more: Any) -> Report:
        return verify(database or self.world.database, WORKSHOP, self.world.trade, now=self.world.clock.now(), **more)

    def corrupt(self, *statements: str) -> None:
        """Runs SQL past all that would prevent it."""
        with self._past_all_checks() as connection:
            self._run(connection, statements)
            connection.exec_driver_sql("COMMIT")

    def verify_as_if(self, *statements: str) -> Report:
        """What `verify` says from within a transaction that corrupts and is then undone: so a story is told once."""
        with self._past_all_checks() as connection:
            self._run(connection, statements)
            seen = _SeenFromWithin(**vars(self.world.database), within=connection)
            report = self.verify(database=seen)
            connection.exec_driver_sql("ROLLBACK")
        return report

    @contextmanager
    def _past_all_checks(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            if connection.dialect.name != "sqlite":
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            yield connection

    @cached_property
    def _engine(self) -> Engine:
        url = make_url(self.url)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def _run(self, connection: Connection, statements: Sequence[str]) -> None:
        for statement in statements:
            connection.exec_driver_sql(self.named(statement))

    def named(self, text: str) -> str:
        """The text with references: `@ann` stands for Ann's."""
        return re.sub(r"@(\w+)", lambda found: self.refs[found[1]], text)


def story(database: Database) -> None:
    """Ann and Bob bring bicycles, collect some, join the club; some of their events are refused, stale, wait or fail.

    In another tenant Eve does likewise, under the same names.
    """
    world = World(database, WORKSHOP, WorkshopTrade())
    world.applied("owner.register", "owners/ann", {"name": "Ann", "phone": "1"})
    world.applied("owner.register", "owners/bob", {"name": "Bob", "phone": "2"})
    world.applied("repair.bring", "owners/ann/repairs/job1", {"bicycle": "red", "frame": "F-1"})
    world.applied("repair.bring", "owners/ann/repairs/job2", {"bicycle": "blue"})
    world.applied("repair.bring", "owners/bob/repairs/job1", {"bicycle": "green", "frame": "F-1"})
    world.applied("repair.finish", "owners/ann/repairs/job1")
    world.advance_to(START + 5 * DAY)  # two days after the first reminder
    world.applied("club.join", "owners/ann", {"card": "K-7"}, time=START + 4 * DAY)
    world.applied("repair.collect", "owners/ann/repairs/job2")
    world.applied("repair.finish", "owners/ann/repairs/job2")  # contradicts what is known, so the owner is told
    world.applied("owner.change_phone", "owners/bob", {"phone": "1"})  # Ann's
    assert world.post("owner.register", "owners/ann", {"name": "Ann"}, id="again").verdict == "stale"
    assert world.post("repair.sell", "owners/ann/repairs/job2", id="no").verdict == "refused"
    assert world.post("owner.change_phone", "owners/zoe", {"phone": "9"}, id="early").verdict == "parked"
    assert world.post("repair.bring", "owners/bob", {"bicycle": "cursed"}, id="bad").verdict == "quarantined"
    world.advance_to(END)
    north = another_tenant(database)
    north.applied("owner.register", "owners/eve", {"name": "Eve", "phone": "1"})
    north.applied("repair.bring", "owners/eve/repairs/job1", {"bicycle": "black"})
    with database.write() as connection:
        connection.execute(_sent_properly(world))
        retried = Act(world.tenant, "staff", "bob@x.org", "mail.retry", "message/1", "the server was down")
        remember_acts(connection, [retried, Act(None, "staff", "eve@x.org", "hold.make", "everything")], END)
    with TemporaryDirectory() as folder:
        place = SealPlace(Path(folder) / "key", Path(folder) / "seals")
        assert seal(database, place, world.engine.read_now).rows > 10
        world.applied("owner.change_phone", "owners/bob", {"phone": "7"})
        assert seal(database, place, world.engine.read_now).rows == 1
    world.applied("owner.change_phone", "owners/bob", {"phone": "8"})


def another_tenant(database: Database) -> World:
    world = World(database, WORKSHOP, WorkshopTrade(), END)
    with database.write() as connection:
        added = add_tenant(
            connection,
            key="north",
            name="North",
            language="fr",
            zone="America/Montreal",
            policy="none",
            settings="{}",
            created_at=START,
        )
    world.tenant = added.id
    return world


def references(world: World) -> dict[str, str]:
    """Of those in the story, by the name that a corruption calls them."""
    north = another_tenant(world.database)
    found = {
        row.value: row.case_ref for row in [*world.rows("names", kind="sender"), *north.rows("names", kind="sender")]
    }
    ann, bob, eve = found["ann"], found["bob"], found["eve"]
    return {
        "ann": ann,
        "bob": bob,
        "eve": eve,
        "ready": world.row("names", value="job1", subject=ann).case_ref,
        "done": world.row("names", value="job2").case_ref,
        "club": world.row("cases", subject=ann, workflow="club").ref,
        "hers": north.row("names", value="job1").case_ref,
    }


def _told(url: str) -> None:
    database = opened(url)
    create_all(database)
    story(database)
    database.dispose()


@pytest.fixture(scope="session")
def told_in_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story, told once."""
    file = tmp_path_factory.mktemp("story") / "vipflow.db"
    _told(f"sqlite:///{file}")
    return file


@contextmanager
def _copy_of_story(request: pytest.FixtureRequest, folder: Path) -> Iterator[Lived]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("told_in_sqlite"), folder / "vipflow.db")
        url, drop = f"sqlite:///{folder / 'vipflow.db'}", lambda: None
    else:
        server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
        name = server.create_database("verify", template=server.template("verify", _told))
        url, drop = server.url_for(name), lambda: server.drop_database(name)
    database = opened(url)
    world = World(database, WORKSHOP, WorkshopTrade(), END)
    yield Lived(world, url, references(world))
    database.dispose()
    drop()


@pytest.fixture(params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lived]:
    """The story in a database of the test's own."""
    with _copy_of_story(request, tmp_path) as found:
        yield found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived_for_all(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """The story in a database that no test changes."""
    with _copy_of_story(request, tmp_path_factory.mktemp("kept")) as found:
        yield found


def _sent_properly(world: World) -> Update:
    """As delivery marks it."""
    content = b"Ready!"
    key = min(row.key for row in world.rows("messages", template="repair_ready"))
    return (
        update(messages)
        .where(messages.c.key == key)
        .values(state="sent", attempts=1, copies=1, message_id="<1@x>", sent_at=END, body=content)
        .values(content_hash=hashlib.sha256(content).hexdigest())
    )


# --- what is clean -------------------------------------------------------------------------------------------------


def test_a_world_in_which_much_happened_is_clean(lived: Lived) -> None:
    report = lived.verify(idle_at=lived.world.clock.now())

    assert report.findings == ()
    assert report.ok
    assert report.subjects == 3
    assert {checked.invariant for checked in report.invariants} == INVARIANTS.keys()
    assert all(checked.checked > 0 for checked in report.invariants)


def test_an_empty_database_is_clean(database: Database) -> None:
    report = verify(database, WORKSHOP, WorkshopTrade())

    assert report.ok
    assert report.subjects == 0


def test_the_report_is_plain_json_and_says_what_was_not_checked(lived: Lived) -> None:
    plain = json.loads(verify(lived.world.database, WORKSHOP, WorkshopTrade()).to_json())

    assert plain["ok"] is True
    assert plain["findings"] == []
    not_run = {each["invariant"]: each.get("not_run", []) for each in plain["invariants"]}
    assert "no present instant" in not_run["I5"][0]
    assert "idle" in not_run["I6"][0]


def test_it_tells_how_far_it_is(lived: Lived) -> None:
    told: list[tuple[int, int]] = []

    lived.verify(progress=lambda done, total: told.append((done, total)))

    assert told == [(2, 3), (3, 3)]


def test_pages_leave_nobody_out(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vipflow.engine.verify.customers.PAGE", 1)

    report = lived.verify()

    assert report.ok
    assert report.subjects == 3


def test_it_changes_nothing(lived: Lived) -> None:
    before = lived.world.everything()

    lived.verify(idle_at=lived.world.clock.now() + 365 * DAY)

    assert lived.world.everything() == before


def test_it_reads_all_in_one_transaction_beside_a_writer(lived: Lived) -> None:
    def meanwhile(done: int, total: int) -> None:
        lived.world.post("repair.bring", "owners/bob", {"bicycle": f"new {done}"})

    assert lived.verify(progress=meanwhile).ok


# --- what is broken ------------------------------------------------------------------------------------------------


def _corruptions() -> list[Any]:
    """Of the file: invariant, statements and sentence of each entry, under its title."""
    text = Path(__file__).with_name("corruptions.sql").read_text()
    found = []
    for title, says, sql in re.findall(r"^-- (I\d+ .+)\n-- says: (.+)\n((?:(?!--).+\n)+)", text, re.MULTILINE):
        found.append(pytest.param(title.split()[0], sql.strip().rstrip(";").split(";\n"), says, id=title))
    return found


@pytest.mark.parametrize(("invariant", "how", "says"), _corruptions())
def test_verify_names_what_was_broken(lived_for_all: Lived, invariant: str, how: list[str], says: str) -> None:
    lived = lived_for_all
    report = lived.verify_as_if(*how)

    said = [f"{finding.record}: {finding.problem}" for finding in report.found(invariant)]
    assert any(lived.named(says) in sentence for sentence in said), report.findings
    assert not report.ok


def test_every_invariant_is_broken_by_something() -> None:
    broken = {case.values[0] for case in _corruptions()}

    assert INVARIANTS.keys() - broken == {"I11"}  # which is broken otherwise on each database, see below


def test_a_timer_that_was_due_and_did_not_fire_is_named_when_all_is_idle(lived: Lived) -> None:
    later = lived.world.clock.now() + 40 * DAY

    assert lived.verify().ok
    said = [finding.problem for finding in lived.verify(idle_at=later).found("I6")]

    assert any("has not fired" in problem for problem in said)


def test_a_tenant_whose_settings_cannot_be_read_does_not_stop_the_others(lived: Lived) -> None:
    lived.corrupt("UPDATE tenants SET zone = 'Mars/Olympus' WHERE key = 'north'", "UPDATE subjects SET name = '?'")

    assert {finding.subject for finding in lived.verify().found("I10")} == {None, lived.refs["ann"], lived.refs["bob"]}


def test_findings_are_counted_beyond_those_that_are_given(lived: Lived) -> None:
    lived.corrupt("UPDATE cases SET version = 99")

    report = lived.verify(most=2)

    counted = {checked.invariant: checked.found for checked in report.invariants}
    assert len(report.found("I2")) == 2
    assert counted["I2"] == 10


# --- the database's own checks -------------------------------------------------------------------------------------


def test_an_index_that_does_not_fit_its_table_is_named(lived: Lived) -> None:
    if lived.world.database.dialect == "postgresql":
        lived.corrupt("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'history_of_case'::regclass")
        expected = "the index history_of_case of history is marked invalid"
    else:
        lived.corrupt(
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_master SET sql = replace(sql, 'WHERE in_ready', 'WHERE NOT in_ready')"
            " WHERE name = 'subjects_in_ready'",
            "PRAGMA writable_schema = OFF",
        )
        expected = "missing from index subjects_in_ready"

    problems = [finding.problem for finding in _reopened(lived).found("I11")]

    assert any(expected in problem for problem in problems), problems


def test_a_foreign_key_that_does_not_hold_is_named(lived: Lived) -> None:
    if lived.world.database.dialect == "postgresql":
        lived.corrupt(
            "ALTER TABLE cases DROP CONSTRAINT cases_of_subject",
            "UPDATE cases SET subject = 'W-0' WHERE ref = '@ready'",
            "ALTER TABLE cases ADD CONSTRAINT cases_of_subject FOREIGN KEY (tenant, subject)"
            " REFERENCES subjects (tenant, ref) NOT VALID",
        )
        expected = "the constraint cases_of_subject of cases was never validated"
    else:
        lived.corrupt("UPDATE cases SET subject = 'W-0' WHERE ref = '@ready'")
        expected = "foreign_key_check: a row of cases points to no row of subjects"

    assert expected in [finding.problem for finding in lived.verify().found("I11")]


def test_what_postgresql_cannot_check_is_said(lived: Lived) -> None:
    not_run = next(checked.not_run for checked in lived.verify().invariants if checked.invariant == "I11")

    if lived.world.database.dialect == "sqlite":
        assert not_run == ()
    else:
        assert any("amcheck" in why for why in not_run)


STAND_IN_FOR_AMCHECK = (
    """CREATE FUNCTION bt_index_check(index regclass, heapallindexed boolean) RETURNS void LANGUAGE plpgsql AS
    $$BEGIN IF index = 'timers_of_subject'::regclass THEN RAISE 'a tuple lacks its entry'; END IF; END$$""",
    """INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    SELECT 99999, 'amcheck', 10, current_schema()::regnamespace, false, '1'""",
)


def test_every_index_is_held_against_its_table_where_postgresql_has_amcheck(lived: Lived) -> None:
    """By a stand-in: the server of the tests comes without the extension."""
    if lived.world.database.dialect == "sqlite":
        return
    lived.corrupt(*STAND_IN_FOR_AMCHECK)

    report = lived.verify()

    problems = [finding.problem for finding in report.findings]
    assert problems == ["amcheck, index timers_of_subject: a tuple lacks its entry"]


def _reopened(lived: Lived) -> Report:
    lived.world.database.dispose()  # connections remember the schema as it was
    return lived.verify()


# --- facts of several versions -------------------------------------------------------------------------------------


class Repair2(Facts, frozen=True):
    """The repair of a later release: the frame's number became a mark, and a colour came."""

    facts_version = 2
    upgrades = (lambda plain: {("mark" if name == "frame" else name): value for name, value in plain.items()},)

    bicycle: str
    mark: str | None = None
    tag: str | None = None
    colour: str = "none"
    ready_on: date | None = None
    reminders: int = 0


def test_facts_written_before_an_upgrade_are_folded_with_it(lived: Lived) -> None:
    machine = WORKSHOP["repair"]

    def ready(repair: Repair2, data: Any, view: View) -> Repair2:
        return Repair2(repair.bicycle, repair.mark, None, "pink", view.today, repair.reminders)

    later = replace(
        machine,
        facts=Repair2,
        names=(Name("mark", "frame"),),
        changes={**machine.changes, "finish": replace(machine.changes["finish"], record=ready)},
        emails=(),
        mails_on_arrival={},
        _bound={},
    )
    workflows = replace(WORKSHOP, machines={**WORKSHOP.machines, "repair": later})
    world = World(lived.world.database, workflows, lived.world.trade, lived.world.clock.now())
    world.applied("repair.finish", "owners/bob/repairs/job1", source="later")

    report = verify(world.database, workflows, world.trade)

    assert report.findings == ()
    row = world.row("cases", subject=lived.refs["bob"], workflow="repair")
    assert row.facts == encode_facts(Repair2("green", "F-1", None, "pink", date(2025, 1, 27)))
    lived.corrupt("UPDATE cases SET facts = replace(facts, 'F-1', 'F-9')")
    assert verify(world.database, workflows, world.trade).found("I2") != ()
