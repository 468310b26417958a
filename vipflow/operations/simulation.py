"""What a file of events would lead to: played on a moving clock in a database of its own, which is then thrown away."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from vipflow.case import Actor
from vipflow.clock import StillClock
from vipflow.days import midnight
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.transport import Outcome, Parcel, Paused
from vipflow.engine.envelope import Envelope, read_envelope
from vipflow.errors import BadInput
from vipflow.operations.dates import in_force, zone
from vipflow.operations.events import TOO_LONG, Line, Posted, answered_line
from vipflow.operations.installation import Files, Installation, with_database
from vipflow.operations.ticks import tick_delivery, tick_parked, tick_timers
from vipflow.operations.words import event_label
from vipflow.store import simulated
from vipflow.store.database import open_database
from vipflow.store.schema import create_all
from vipflow.store.tenants import MemberRow, add_team_member, add_tenant
from vipflow.workflow import Text

MANAGER = "manager@example.invalid"


class Happening(msgspec.Struct, frozen=True, rename={"from_state": "from", "to_state": "to"}):
    """One transition as it would happen, with the mails that it would write."""

    at: datetime
    customer: str
    case: str
    event: str
    label: Text
    from_state: str | None
    to_state: str
    by: str
    mails: tuple[str, ...]


class Simulation(msgspec.Struct, frozen=True):
    """What would happen. `states` counts the cases at the end by `workflow.state`, `mails` what left by template."""

    reseller: str
    policy: str
    since: datetime
    until: datetime
    events: Posted
    ignored: int
    """Events after the end."""
    transitions: dict[str, int]
    mails: dict[str, int]
    not_sent: dict[str, int]
    """Mails that would not leave, by state: superseded by a newer one or by what happened, held, still waiting."""
    states: dict[str, int]
    incidents: list[Text]
    steps: list[Happening]
    more_steps: bool


def simulate(
    files: Files,
    lines: Iterable[tuple[int, bytes | None]],
    *,
    since: date,
    until: date,
    policy: str,
    zone_name: str,
    language: str,
    team: Iterable[str] = (),
    most_steps: int = 1000,
) -> Simulation:
    """Plays the events and the clock from the beginning of `since` to the end of `until`.

    Events arrive in the order of the file, each at its time or, where that is past already, at once; those before
    `since` arrive at its beginning. `team`: e-mails of account managers that the events name. Raises BadInput for
    days that make no period.
    """
    if until < since:
        raise BadInput("--until", f"{until} is before --from {since}", "give a later day")
    where = zone(zone_name)
    in_force(files.policy_book, policy, since)
    clock = StillClock(midnight(since, where))
    end = midnight(until + timedelta(days=1), where) - timedelta(microseconds=1)
    with _throwaway(files, clock) as installation:
        tenant = _reseller(installation, policy, zone_name, language, team)
        player = _Player(installation, clock, tenant)
        player.play(lines, end)
        return _told(installation, tenant, player, policy, midnight(since, where), end, most_steps)


class _Player:
    """Moves the clock from one thing to the next: an event, a timer, a mail."""

    def __init__(self, installation: Installation, clock: StillClock, tenant: int) -> None:
        self.installation = installation
        self.engine = installation.engine
        self.workflows = installation.workflows
        self.clock = clock
        self.tenant = tenant
        self.delivery = Delivery(self.engine, installation.templates, _Nowhere(), "simulation.invalid")
        self.runner = asyncio.Runner()
        self.posted = Posted()
        self.ignored = 0

    def play(self, lines: Iterable[tuple[int, bytes | None]], end: datetime) -> None:
        with self.runner:
            self._play(lines, end)

    def _play(self, lines: Iterable[tuple[int, bytes | None]], end: datetime) -> None:
        for number, line in lines:
            if line is not None and not line.strip():
                continue
            found = self._read(number, line)
            if isinstance(found, Line):
                self.posted.count(found)
                continue
            if found.occurred_at is not None and found.occurred_at > end:
                self.ignored += 1
                continue
            if found.occurred_at is not None and found.occurred_at > self.clock.now():
                self.let_pass(found.occurred_at)
            self.posted.count(answered_line(number, self.engine.post(self.tenant, [found])[0]))
        self.let_pass(end)

    def let_pass(self, until: datetime) -> None:
        """The clock moves to each due instant on the way, and to `until`."""
        while True:
            ticked = (
                tick_timers(self.installation),
                tick_parked(self.installation),
                self.runner.run(tick_delivery(self.installation, self.delivery)),
            )
            following = min((tick.next_at for tick in ticked if tick.next_at is not None), default=until)
            if (
                following >= until or following <= self.clock.now()
            ):  # the latter cannot be done: an incident tells of it
                break
            self.clock.move_to(following)
        self.clock.move_to(max(until, self.clock.now()))

    def _read(self, number: int, line: bytes | None) -> Envelope | Line:
        if line is None:
            return Line(number, "bad_input", problem=TOO_LONG)
        try:
            return read_envelope(line.strip(), self.workflows, default_source="simulation")
        except BadInput as wrong:
            return Line(number, "bad_input", problem=str(wrong))


class _Nowhere:
    """Takes every mail and sends none: it left, as far as a simulation is concerned."""

    name = "nowhere"

    async def send(self, parcels: Sequence[Parcel], now: datetime) -> Sequence[Outcome]:
        return [Outcome("sent", "answer")] * len(parcels)

    def paused(self, now: datetime) -> Paused | None:
        return None

    async def close(self) -> None:
        return None


@contextmanager
def _throwaway(files: Files, clock: StillClock) -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="vipflow-simulation-") as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'simulation.db'}", durability="off")
        try:
            create_all(database)
            yield with_database(files, database, clock)
        finally:
            database.dispose()


def owners_in(lines: Iterable[tuple[int, bytes | None]]) -> list[str]:
    """The account managers whom events of a file name: in a simulation they are the team."""
    found: dict[str, None] = {}
    for _, line in lines:
        try:
            event = msgspec.json.decode(line or b"{}", type=_Owned)
        except (msgspec.MsgspecError, RecursionError):
            continue  # told when the line is played
        if event.data.owner is not None:
            found[event.data.owner] = None
    return list(found)


class _Owner(msgspec.Struct, frozen=True):
    owner: str | None = None


class _Owned(msgspec.Struct, frozen=True):
    data: _Owner = _Owner()


def _reseller(installation: Installation, policy: str, zone_name: str, language: str, team: Iterable[str]) -> int:
    """A reseller with an admin, so that there is always somebody to write to, and a team."""
    now = installation.clock.now()
    settings = msgspec.json.encode({"sender": "reseller@example.invalid"}).decode()
    with installation.database.write() as connection:
        tenant = add_tenant(
            connection,
            key="simulation",
            name="Simulation",
            language=language,
            zone=zone_name,
            policy=policy,
            settings=settings,
            created_at=now,
        )
        members = {MANAGER: ("Account manager", "admin"), **{email: (email, "account_manager") for email in team}}
        for email, (name, role) in members.items():
            add_team_member(connection, MemberRow(tenant.id, email, name, role, None, None, True, now))
    return tenant.id


def _told(
    installation: Installation, tenant: int, player: _Player, policy: str, since: datetime, end: datetime, most: int
) -> Simulation:
    with installation.database.read() as connection:
        sums = simulated.sums(connection, tenant)
        rows = simulated.first_steps(connection, tenant, most + 1)
    steps = [
        Happening(
            at=row.effective_at,
            customer=row.subject,
            case=row.case_ref,
            event=f"{row.workflow}.{row.event}",
            label=event_label(f"{row.workflow}.{row.event}"),
            from_state=row.from_state,
            to_state=row.to_state,
            by=Actor(row.actor_kind, row.actor or "").name,
            mails=tuple(key.split(":")[2] for key in msgspec.json.decode(row.messages, type=list[str])),
        )
        for row in rows[:most]
    ]
    sent = {row.template: row.count for row in sums.messages if row.state == "sent"}
    not_sent: dict[str, int] = {}
    for row in sums.messages:
        if row.state != "sent":
            not_sent[row.state] = not_sent.get(row.state, 0) + row.count
    says = [msgspec.json.decode(row.says) for row in sums.incidents]
    return Simulation(
        reseller="simulation",
        policy=policy,
        since=since,
        until=end,
        events=player.posted,
        ignored=player.ignored,
        transitions={f"{row.workflow}.{row.event}": row.count for row in sums.transitions},
        mails=sent,
        not_sent=not_sent,
        states={f"{row.workflow}.{row.state}": row.count for row in sums.states},
        incidents=[Text(each["fr"], each["en"]) for each in says],
        steps=steps,
        more_steps=len(rows) > most,
    )
