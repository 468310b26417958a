"""A workflow file changes under running cases: the start stops, the mapping is shown and done, and all is well."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from tests.docs.pages import ROOT
from vipflow.clock import StillClock
from vipflow.config import load_settings
from vipflow.engine import Verdict, read_envelope
from vipflow.engine.fit import Misfit, misfit, remember
from vipflow.engine.verify import verify
from vipflow.errors import BadInput
from vipflow.operations.installation import Installation, open_installation
from vipflow.operations.mapping import Applied, Plan, apply, plan
from vipflow.operations.mapping_wishes import wishes_of
from vipflow.operations.outlook import explain_record, forecast_record
from vipflow.operations.who import who_asks
from vipflow.operations.workflow_files import workflow_problems
from vipflow.store import tables
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.store.tenants import add_tenant

LIBRARY = ROOT / "examples" / "library"
MONDAY = datetime(2025, 1, 6, 9, tzinfo=UTC)


class Desk:
    """The library's installation, whose workflow file its story changes."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.clock = StillClock(MONDAY)
        self.posted = 0
        shutil.copytree(LIBRARY / "workflows", folder / "workflows", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(LIBRARY / "email_templates", folder / "email_templates")
        (folder / "config.toml").write_text(
            f'[database]\nurl = "{url}"\n[folders]\nworkflows = "workflows"\nemail_templates = "email_templates"\n'
        )
        database = open_database(url, durability="off")
        create_all(database)
        with database.write() as connection:
            for key in ("library", "annex"):
                add_tenant(
                    connection,
                    key=key,
                    name=key.title(),
                    language="en",
                    zone="Europe/Paris",
                    policy="none",
                    settings="{}",
                    created_at=MONDAY,
                )
        database.dispose()
        self.opened: list[Installation] = []
        self.undo: list[Callable[[], None]] = []
        self.now = self.start()

    @property
    def before(self) -> Installation:
        """The installation before its last start."""
        return self.opened[-2]

    def start(self) -> Installation:
        """The installation opened anew, with the file as it is now."""
        self.now = open_installation(load_settings(self.folder / "config.toml"), clock=self.clock)
        self.opened.append(self.now)
        return self.now

    def change(self, *subs: tuple[str, str]) -> Installation:
        """Writes another workflow file and starts with it. A file of another name: the old one is still imported."""
        (old,) = (self.folder / "workflows").glob("*.py")
        text = old.read_text(encoding="utf-8")
        for before, after in subs:
            assert before in text, before
            text = text.replace(before, after)
        old.unlink()
        (self.folder / "workflows" / f"loan{len(self.opened)}.py").write_text(text, encoding="utf-8")
        return self.start()

    def post(self, type: str, subject: str, tenant: int = 1, **data: Any) -> Verdict:
        self.posted += 1
        given = {"type": type, "source": "desk", "id": str(self.posted), "subject": subject, "data": data}
        answer = self.now.engine.post(tenant, [read_envelope(json.dumps(given), self.now.workflows)])[0]
        assert isinstance(answer, Verdict), answer
        return answer

    def lend(self, book: str, tenant: int = 1) -> None:
        self.post("loan.lend", f"loans/{book}", tenant, title=book, reader="Ann", email="ann@reader.example")

    def days_pass(self, days: int) -> None:
        for _ in range(days):
            self.clock.move_to(self.clock.now() + timedelta(days=1))
            while self.now.engine.sweep().more:
                pass

    def rows(self, *columns: Any, order: Any = ()) -> list[tuple[Any, ...]]:
        with self.now.database.read() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by(*order))]

    def states(self) -> list[str]:
        return [row[0] for row in self.rows(tables.cases.c.state, order=[tables.cases.c.opened_at, tables.cases.c.ref])]

    def timers(self) -> dict[str, str]:
        rows = self.rows(tables.timers.c.name, tables.timers.c.due_at)
        return {name: due_at.date().isoformat() for name, due_at in rows}

    def verified(self) -> list[str]:
        report = verify(self.now.database, self.now.workflows, self.now.trade)
        return [str(finding) for finding in report.findings]


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    made = Desk(tmp_path, database_url)
    made.lend("emma")
    yield made
    for undo in made.undo:
        undo()
    for each in made.opened:
        each.close()


RENAMED = [("lent", "on_loan")]


def do(desk: Desk, **said: Any) -> Applied:
    return apply(desk.now, wishes_of(**said), reason="lent says too little")


def shown(desk: Desk, **said: Any) -> Plan:
    return plan(desk.now, wishes_of(**said))


GAINED = [
    ('        "lost": Text', '        "mislaid": Text("égaré", "mislaid"),\n        "lost": Text'),
    (
        "    give_back = returned.from_(lent, overdue)",
        "    mislay = lent.to(mislaid)\n    find = mislaid.to(lent)\n    give_back = returned.from_(lent, overdue)",
    ),
]


@pytest.mark.parametrize(
    ("lost", "looked_at"),
    [
        ([], set()),
        ([("        Timer(overdue, every(days=7), send=remind),\n", "")], {"timers"}),
        ([("    mislaid = State()\n", ""), *[(after, before) for before, after in GAINED]], {"cases"}),
    ],
    ids=["nothing", "a timer", "a state"],
)
def test_rows_are_looked_through_only_where_the_files_have_lost_something(
    desk: Desk, lost: list[tuple[str, str]], looked_at: set[str]
) -> None:
    desk.change(("overdue = State()\n", "overdue = State()\n    mislaid = State()\n"), *GAINED)
    desk.change(*lost)
    asked = tables_asked(desk)
    assert misfit(desk.now.database, desk.now.workflows, desk.now.trade) is None
    assert asked == {"meta"}  # what fitted at the start is remembered
    with desk.now.database.write() as connection:
        remember(connection, desk.before.workflows)
    asked.clear()
    assert misfit(desk.now.database, desk.now.workflows, desk.now.trade) is None
    assert asked == {"meta", *looked_at}


def tables_asked(desk: Desk) -> set[str]:
    """Of which tables rows are read from now on."""
    asked: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.update({"meta", "cases", "timers"}.intersection(re.findall(r"FROM (\w+)", statement)))

    event.listen(Engine, "before_cursor_execute", note)
    desk.undo.append(lambda: event.remove(Engine, "before_cursor_execute", note))
    return asked


def test_a_renamed_state_stops_the_start_and_says_what_is_stored_and_what_to_do(desk: Desk) -> None:
    unfit = desk.change(*RENAMED).engine.unfit
    assert isinstance(unfit, Misfit)
    assert "1 case of loan is lent, a state that its file does not declare" in str(unfit)
    assert "`vipflow workflow apply`" in str(unfit)
    before = desk.rows(func.count(tables.history.c.position))
    with pytest.raises(Misfit):
        desk.post("loan.renew", "loans/emma")
    with pytest.raises(Misfit):
        desk.now.engine.sweep()
    assert desk.rows(func.count(tables.history.c.position)) == before


def test_everything_can_still_be_looked_at(desk: Desk) -> None:
    desk.change(*RENAMED)
    who = who_asks(desk.now, reseller="library", email=None)
    assert forecast_record(desk.now, who, "emma").steps == []  # the clock moves nothing of it
    assert explain_record(desk.now, who, "emma").state == "lent"


def test_its_cases_are_mapped_with_a_row_of_history_and_their_timers_stand(desk: Desk) -> None:
    timers = desk.timers()
    desk.change(*RENAMED)
    (state,) = shown(desk).states
    assert (state.state, state.becomes, state.cases, state.proposed) == ("lent", "on_loan", 1, True)
    done = do(desk)
    assert (done.amended, done.left, done.fits) == (1, [], True)
    assert desk.states() == ["on_loan"]
    assert desk.timers() == timers
    told = desk.rows(tables.history.c.event, tables.history.c.to_state, tables.history.c.reason)
    assert ("amend", "on_loan", "lent says too little") in told
    assert ("workflow.apply", "workflow/loan") in desk.rows(tables.audit.c.act, tables.audit.c.target)
    assert desk.verified() == []


def test_a_second_time_it_does_nothing_and_life_goes_on(desk: Desk) -> None:
    desk.change(*RENAMED)
    do(desk)
    rows = desk.rows(func.count(tables.history.c.position))
    again = do(desk, states=["loan.lent=on_loan"])
    assert again.plan.empty
    assert again.amended == 0
    assert desk.rows(func.count(tables.history.c.position)) == rows
    assert desk.start().engine.unfit is None
    desk.days_pass(30)
    assert desk.states() == ["overdue"]


def test_broken_off_it_goes_on_where_it_stopped(desk: Desk) -> None:
    desk.lend("zadig", tenant=2)
    desk.change(*RENAMED)

    def pull_the_plug(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(desk.now, wishes_of(), reason="lent says too little", told=pull_the_plug)
    assert sorted(desk.states()) == ["lent", "on_loan"]
    assert desk.start().engine.unfit is not None
    assert do(desk).amended == 1
    assert desk.states() == ["on_loan", "on_loan"]


def test_what_cannot_be_guessed_must_be_said_and_nothing_is_done_before(desk: Desk) -> None:
    desk.change(*RENAMED, ("overdue", "tardy"))  # two are new: which is which?
    desk.now.engine.unfit = None
    (said,) = shown(desk).open
    assert "--state loan.lent=<state>; there are on_loan, tardy, returned, lost" in said
    with pytest.raises(BadInput, match="say what the 1 cases of loan in lent become"):
        do(desk)
    assert do(desk, states=["loan.lent=on_loan"]).fits


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"states": ["loan.lent=on_laon"]}, "loan declares no state on_laon (did you mean on_loan?)"),
        ({"states": ["laon.lent=on_loan"]}, "there is no workflow laon (did you mean loan?)"),
        ({"states": ["loan.overdue=on_loan"]}, "loan declares overdue: its cases stay there"),
        ({"states": ["lent"]}, "'lent' is no mapping; write --state loan.late=overdue"),
        ({"timers": ["loan.remind=rmind"]}, "loan declares no timer 'rmind' for cases in lent (did you mean remind"),
        ({"drop": ["remind"]}, "'remind' names no timer"),
    ],
    ids=["state", "workflow", "still declared", "no mapping", "timer", "no timer"],
)
def test_a_wish_that_fits_nothing_is_answered(desk: Desk, said: dict[str, list[str]], says: str) -> None:
    desk.change(*RENAMED, ("days=2", "days=3"))
    with pytest.raises(BadInput) as told:
        do(desk, **said)
    assert says in str(told.value)
    assert desk.states() == ["lent"]


def test_a_timer_by_another_rule_is_counted_anew(desk: Desk) -> None:
    assert desk.timers()["remind due_on-2d"] == "2025-01-24"
    unfit = desk.change(("days=2", "days=5")).engine.unfit
    assert "1 case of loan in state lent has the timer “remind due_on-2d”, which its file does not declare" in str(
        unfit
    )
    (timer,) = shown(desk).timers
    assert (timer.becomes, timer.how) == ("remind due_on-5d", "counted anew")
    assert do(desk).fits
    assert desk.timers() == {"fall_due due_on+1d": "2025-01-27", "remind due_on-5d": "2025-01-21"}
    assert desk.verified() == []


def test_a_timer_under_another_name_keeps_its_day(desk: Desk) -> None:
    desk.change(("remind", "nudge"))
    (timer,) = shown(desk).timers
    assert (timer.timer, timer.becomes, timer.how) == ("remind due_on-2d", "nudge due_on-2d", "kept")
    assert do(desk, timers=["loan.remind=nudge"]).fits
    assert desk.timers() == {"fall_due due_on+1d": "2025-01-27", "nudge due_on-2d": "2025-01-24"}


def test_a_timer_that_is_no_more_must_be_dropped_by_somebody(desk: Desk) -> None:
    desk.change(('        Timer(lent, before("due_on", days=2), send=remind),\n', ""))
    (said,) = shown(desk).open
    assert '--drop-timer "loan.remind due_on-2d"' in said
    assert do(desk, drop=["loan.remind"]).fits
    assert list(desk.timers()) == ["fall_due due_on+1d"]


def test_what_falls_due_at_once_is_said_beforehand(desk: Desk) -> None:
    desk.clock.move_to(MONDAY + timedelta(days=40))  # the daemon stood still
    desk.change(*RENAMED)
    told = shown(desk)
    assert (told.cases, told.at_once) == (1, 2)


def test_a_mapping_file_says_the_same_at_every_deploy(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text('[loan.states]\nlent = "on_loan"\n[loan.timers]\n"remind due_on-2d" = false\n')
    desk.change(
        *RENAMED, ("overdue", "tardy"), ('        Timer(on_loan, before("due_on", days=2), send=remind),\n', "")
    )
    assert apply(desk.now, wishes_of(file=file), reason="deploy 12").fits
    assert apply(desk.now, wishes_of(file=file), reason="deploy 12").amended == 0
    file.write_text('[loan.stats]\nlent = "on_loan"\n')
    with pytest.raises(BadInput, match=r"\[loan.stats\] is not known here \(did you mean states\?\)"):
        wishes_of(file=file)


def test_a_workflow_with_stored_cases_cannot_be_taken_away(desk: Desk) -> None:
    unfit = desk.change(('name_in_events = "loan"', 'name_in_events = "lending"')).engine.unfit
    assert "1 case runs the workflow loan, which no file declares" in str(unfit)
    assert "name_in_events = 'loan'" in str(unfit)
    assert shown(desk).cannot
    with pytest.raises(BadInput, match="bring its file back"):
        do(desk)


# --- facts ---------------------------------------------------------------------------------------------------------

GREW = ("    renewals: int = 0", "    shelf: str\n    renewals: int = 0")
UPGRADED = (
    "    shelf: str\n    renewals: int = 0",
    "    shelf: str\n    renewals: int = 0\n    facts_version = 2\n"
    '    upgrades = (lambda plain: {**plain, "shelf": "A"},)',
)
GOLDEN = (
    "    facts_version = 2",
    '    facts_version = 2\n    golden = (\'{"title":"t","reader":"r","email":"e","due_on":"2025-01-01"}\',)',
)
BUILDS = ("view.today + timedelta(weeks=WEEKS_OF_A_LOAN))\n\n\ndef for", 'view.today, "B")\n\n\ndef for')


def test_facts_that_the_class_cannot_read_stop_the_start(desk: Desk) -> None:
    unfit = desk.change(GREW, BUILDS).engine.unfit
    assert "cannot be read as Loan: of version 1, they lack 'shelf', which is required now" in str(unfit)
    assert "set facts_version = 2 and add an upgrade" in str(unfit)


def test_with_an_upgrade_they_are_read_and_kept_so_at_the_next_step(desk: Desk) -> None:
    assert desk.change(GREW, BUILDS, UPGRADED).engine.unfit is None
    desk.post("loan.renew", "loans/emma")
    ((facts, version),) = desk.rows(tables.cases.c.facts, tables.cases.c.facts_version)
    assert '"shelf":"A"' in str(facts)
    assert version == 2


def test_facts_of_a_newer_file_stop_the_start_of_an_older_one(desk: Desk) -> None:
    desk.change(GREW, BUILDS, UPGRADED)
    desk.lend("zadig")
    unfit = desk.change((UPGRADED[1], "    renewals: int = 0")).engine.unfit
    assert "1 case of loan has facts of version 2, its file knows version 1" in str(unfit)


def problems(desk: Desk) -> str:
    return "\n".join(map(str, workflow_problems(desk.folder / "workflows")))


def test_a_daemon_with_older_files_that_went_on_is_noticed_at_the_next_start(desk: Desk) -> None:
    """All fitted and was remembered; then the older daemon moved a case into a state that is gone."""
    desk.lend("emma")
    desk.change(*RENAMED)
    with desk.now.database.write() as connection:
        remember(connection, desk.now.workflows)
    assert misfit(desk.now.database, desk.now.workflows, desk.now.trade) is None
    assert misfit(desk.now.database, desk.now.workflows, desk.now.trade, looks=True) is not None


def test_a_state_that_is_settled_no_more_under_stored_cases_stops_the_start(desk: Desk) -> None:
    desk.lend("moby")
    assert desk.post("loan.declare_lost", "loans/moby").verdict == "applied"
    desk.change(("settled = [returned, lost]", "settled = [returned]"))
    assert "which was settled when they came there and is no settled one by the file" in str(desk.now.engine.unfit)


def test_check_asks_for_a_golden_row_of_each_past_version_and_loads_it(desk: Desk) -> None:
    desk.change(GREW, BUILDS, UPGRADED)
    assert "facts_version = 2 and no golden row of version 1" in problems(desk)
    desk.change(GOLDEN)
    assert problems(desk) == ""
    desk.change(('{**plain, "shelf": "A"}', 'plain["shelf"]'))
    assert "golden row of version 1 of Loan cannot be read: the upgrade from version 1 raises KeyError" in problems(
        desk
    )


# --- where nobody looked -------------------------------------------------------------------------------------------


def test_a_case_in_a_state_that_nobody_declares_is_told_of_and_keeps_its_timers(desk: Desk) -> None:
    """As where an old daemon still wrote while a new file was looked at: no timer may get lost."""
    desk.change(*RENAMED)
    desk.now.engine.unfit = None
    timers = desk.timers()
    desk.days_pass(25)
    assert desk.states() == ["lent"]
    assert desk.timers() == timers
    verdict = desk.post("loan.give_back", "loans/emma")
    assert verdict.verdict == "quarantined"  # kept whole, and tried again once its case is mapped
    assert "a state that its file does not declare" in verdict.reasons[0].says.en
    assert ("quarantined",) in desk.rows(tables.incidents.c.kind)
    assert do(desk).fits
