"""The example year, played: eighteen months of three resellers pass on a moving clock, through the code of real ones.

`play` makes a folder afresh with a database, mails as files and the settings to look around in it. The clock jumps from
one thing to the next: an event that arrives, a timer that falls due, a mail whose office hours begin.
"""

from __future__ import annotations

import asyncio
import shutil
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from vipflow.clock import StillClock
from vipflow.config import DatabaseSettings, MailSettings, Settings, load_settings, shipped
from vipflow.delivery.outbox import Delivery
from vipflow.delivery.transport import FileTransport
from vipflow.engine import verify
from vipflow.errors import BadInput
from vipflow.operations.events import Line, post_lines
from vipflow.operations.importing import ImportReport, import_members
from vipflow.operations.installation import Installation, load_files, with_database
from vipflow.operations.resellers import add_reseller
from vipflow.operations.team import add_member
from vipflow.operations.ticks import Ticked, tick_delivery, tick_parked, tick_timers
from vipflow.operations.who import Who, who_asks
from vipflow.store.database import Database, open_database
from vipflow.store.schema import migrate

PACE = timedelta(hours=2)
"""The clock stops every second full hour at most, and there only where something has come up: what arrives or falls due
in between is recorded then, with its own date. Never early, and with a third of the stops.
"""
_OURS = "# Written by `vipflow demo`, which makes this folder anew each time."
_CONFIG = f"""{_OURS}
# Look around in it with the variable VIPFLOW_CONFIG, or with --config.

[database]
url = "sqlite:///vipflow.db"

[mail]
folder = "mails"
domain = "demo.invalid"
"""
_CLOCK = """
# The year is over, and time stands still there: what comes next is seen from its last day.
[clock]
stands_at = {instant}
"""

Progress = Callable[[datetime, int], None]
"""Told where the clock stands and how many events have arrived."""


class Year(msgspec.Struct, frozen=True, rename={"starts_at": "starts", "ends_at": "ends"}):
    """`resellers.toml`: when the year starts and ends, and whose it is."""

    starts_at: datetime
    ends_at: datetime
    resellers: tuple[PlayedReseller, ...]


class PlayedMember(msgspec.Struct, frozen=True):
    name: str
    email: str
    role: str
    language: str
    phone: str | None = None


class PlayedReseller(msgspec.Struct, frozen=True):
    key: str
    name: str
    language: str
    zone: str
    policy: str
    phone: str
    sender: str
    signature: str
    members: str
    authorizations: str
    events: str
    team: tuple[PlayedMember, ...]
    overrides: Mapping[str, Any] = {}


class Arrival(msgspec.Struct, frozen=True):
    """A line of an events file and when it arrives."""

    at: datetime
    reseller: str
    number: int
    line: bytes


class Played(msgspec.Struct):
    """What became of the year. `answers` counts what each line of the files was answered when it arrived."""

    folder: Path | None
    starts_at: datetime
    ends_at: datetime
    imports: dict[str, ImportReport] = {}
    answers: Counter[str] = Counter()
    instants: int = 0
    seconds: dict[str, float] = {}
    report: verify.Report | None = None


@dataclass
class _Stopwatch:
    seconds: dict[str, float]

    def time(self, what: str, work: Callable[[], Any]) -> Any:
        begun = monotonic()
        result = work()
        self.seconds[what] = self.seconds.get(what, 0.0) + monotonic() - begun
        return result


def shipped_year() -> Path:
    """The folder of the example year. Raises BadInput where this installation came without it."""
    folder = shipped("examples/year")
    if not (folder / "resellers.toml").is_file():
        raise BadInput("the example year", f"{folder} is not there", "take it from vipflow's repository: examples/year")
    return folder


def fresh_folder(folder: Path) -> Settings:
    """Empties the demo's own folder and gives the settings of the installation that will be in it.

    Raises BadInput for a folder that holds something else.
    """
    config = folder / "config.toml"
    if folder.is_dir() and any(folder.iterdir()):
        if not config.is_file() or not config.read_text(encoding="utf-8").startswith(_OURS):
            problem = "it is not empty, and not a folder of the demo"
            raise BadInput(f"the folder {folder}", problem, "name another with --folder")
        shutil.rmtree(folder)
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)  # customers' data, as any
    config.write_text(_CONFIG, encoding="utf-8")
    settings = load_settings(config)
    # Whatever the environment says of databases and mails: the demo touches its own alone.
    database = DatabaseSettings(url=f"sqlite:///{folder.resolve() / 'vipflow.db'}")
    return settings.model_copy(
        update={"database": database, "mail": MailSettings(folder=folder.resolve() / "mails", domain="demo.invalid")}
    )


def play(
    year_folder: Path, settings: Settings, *, database: Database | None = None, progress: Progress = lambda *_: None
) -> tuple[Installation, Played]:
    """Plays the year into the database of `settings` (or `database`, empty), and verifies what came of it."""
    year = read_year(year_folder)
    if database is None:
        # A demo that the machine interrupts begins anew: nothing is lost by not waiting for the disk.
        database = open_database(settings.database.url, durability="off")
    migrate(database)
    clock = StillClock(year.starts_at)
    installation = with_database(load_files(settings), database, clock)
    played = Played(settings.file.parent if settings.file is not None else None, year.starts_at, year.ends_at)
    begun = monotonic()
    player = _Player(installation, clock, year_folder, year, played, progress)
    player.play()
    if settings.file is not None:
        with settings.file.open("a", encoding="utf-8") as config:
            config.write(_CLOCK.format(instant=year.ends_at.isoformat()))
    watch = _Stopwatch(played.seconds)
    played.report = watch.time("verify", lambda: _verify(installation))
    played.seconds["all"] = monotonic() - begun
    return installation, played


def read_year(folder: Path) -> Year:
    """What `resellers.toml` says."""
    return msgspec.convert(tomllib.loads((folder / "resellers.toml").read_text(encoding="utf-8")), Year)


class _Player:
    """Moves the clock and lets happen what is due."""

    def __init__(
        self,
        installation: Installation,
        clock: StillClock,
        folder: Path,
        year: Year,
        played: Played,
        progress: Progress,
    ) -> None:
        self.installation = installation
        self.clock = clock
        self.folder = folder
        self.year = year
        self.played = played
        self.progress = progress
        mail = installation.settings.mail
        self.delivery = Delivery(installation.engine, installation.templates, FileTransport(mail.folder), mail.domain)
        self.runner = asyncio.Runner()
        self.watch = _Stopwatch(played.seconds)
        self.asking: dict[str, Who] = {}
        self.arrived = 0
        self.parked_until: datetime | None = None

    def play(self) -> None:
        with self.runner:
            self._play()

    def _play(self) -> None:
        for reseller in self.year.resellers:
            self._found(reseller)
            self.watch.time("import", partial(self._adopt, reseller))
        arrivals = sorted(self._arrivals(), key=lambda each: (each.at, each.reseller, each.number))
        upcoming = _Upcoming(arrivals)
        following = self._tick()
        while True:
            due = [at for at in (*following, upcoming.next_at()) if at is not None and at <= self.year.ends_at]
            if not due:
                break
            self.clock.move_to(min(_next_stop(max(min(due), self.clock.now())), self.year.ends_at))
            self.played.instants += 1
            arrived = upcoming.take(self.clock.now())
            self.watch.time("post", partial(self._post, arrived))
            following = self._tick()
            self.progress(self.clock.now(), self.arrived)
        self.clock.move_to(self.year.ends_at)

    # --- beginning ------------------------------------------------------------------------------------------------

    def _found(self, reseller: PlayedReseller) -> None:
        """The reseller and its team, as their commands add them."""
        add_reseller(
            self.installation,
            key=reseller.key,
            name=reseller.name,
            policy=reseller.policy,
            language=reseller.language,
            zone=reseller.zone,
            settings={"sender": reseller.sender, "phone": reseller.phone, "signature": reseller.signature},
            overrides=reseller.overrides,
        )
        who = self.asking[reseller.key] = who_asks(self.installation, reseller=reseller.key, email=None)
        for member in reseller.team:
            add_member(self.installation, who, **msgspec.structs.asdict(member))

    def _adopt(self, reseller: PlayedReseller) -> None:
        """The members of today, silently, through the import that people use."""
        who = self.asking[reseller.key]
        report = import_members(
            self.installation,
            who,
            self.folder / reseller.members,
            authorizations=self.folder / reseller.authorizations,
        )
        self.played.imports[reseller.key] = report

    def _arrivals(self) -> Iterator[Arrival]:
        for reseller in self.year.resellers:
            with (self.folder / reseller.events).open("rb") as stream:
                for number, line in enumerate(stream, start=1):
                    said = msgspec.json.decode(line, type=_Delivered)
                    yield Arrival(said.deliveredat, reseller.key, number, line)

    # --- on the way -----------------------------------------------------------------------------------------------

    def _post(self, arrivals: Sequence[Arrival]) -> None:
        for key, who in self.asking.items():
            lines = [(each.number, each.line) for each in arrivals if each.reseller == key]
            if lines:
                post_lines(self.installation, who, lines, told=self._told)
        self.arrived += len(arrivals)

    def _told(self, line: Line) -> None:
        replayed = line.verdict is not None and line.verdict.replayed
        if line.outcome == "parked":
            self.parked_until = self.clock.now()  # look when its wait will be over
        self.played.answers["replayed" if replayed else line.outcome] += 1

    def _tick(self) -> tuple[datetime | None, ...]:
        """Everything that is due now; when something is due next."""
        fired = self.watch.time("timers", lambda: tick_timers(self.installation))
        if self.parked_until is not None and self.parked_until <= self.clock.now():
            self.parked_until = self.watch.time("parked", lambda: tick_parked(self.installation)).next_at
        sent = self.watch.time("mails", self._deliver)
        return fired.next_at, self.parked_until, sent.next_at

    def _deliver(self) -> Ticked:
        return self.runner.run(tick_delivery(self.installation, self.delivery))


class _Delivered(msgspec.Struct):
    deliveredat: datetime


class _Upcoming:
    """The events that are still to arrive."""

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals = arrivals
        self.position = 0

    def next_at(self) -> datetime | None:
        return self.arrivals[self.position].at if self.position < len(self.arrivals) else None

    def take(self, now: datetime) -> Sequence[Arrival]:
        """Those that have arrived by now."""
        start = self.position
        while self.position < len(self.arrivals) and self.arrivals[self.position].at <= now:
            self.position += 1
        return self.arrivals[start : self.position]


def _next_stop(at: datetime) -> datetime:
    """`at`, or the next moment at which the clock stops."""
    beyond = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) % PACE
    return at + (PACE - beyond) if beyond else at


def _verify(installation: Installation) -> verify.Report:
    now = installation.clock.now()
    return verify.verify(installation.database, installation.workflows, installation.trade, now=now, idle_at=now)
