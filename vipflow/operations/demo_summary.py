"""What the demo tells at its end: how the customers stand, what happened, which mails left, what to look at next."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from vipflow.operations.demo import Played
from vipflow.operations.installation import Installation
from vipflow.operations.words import event_label
from vipflow.store import reading, simulated
from vipflow.store.reading import Wanted
from vipflow.store.tenants import TenantRow, all_tenants
from vipflow.vip.lists import LISTS
from vipflow.workflow import Text

LATEST_CHANGES = 12


class ResellerStands(msgspec.Struct, frozen=True):
    """A reseller on the last day: its customers, and how many stand in each of the five lists."""

    key: str
    name: str
    policy: str
    customers: int
    taken_over: int
    lists: dict[str, int]


class Kind(msgspec.Struct, frozen=True):
    """A kind of transition, and how often it happened."""

    workflow: str
    event: str
    label: Text
    count: int


class MailKind(msgspec.Struct, frozen=True):
    """A template: how many mails of it left, and how many did not because something newer or truer came first."""

    template: str
    to: tuple[str, ...]
    sent: int
    superseded: int
    other: int


class Hint(msgspec.Struct, frozen=True):
    """Something to try: a command that works as it stands here, and what it shows."""

    command: str
    shows: str


class Summary(msgspec.Struct, frozen=True):
    """The demo in numbers."""

    starts_at: datetime
    ends_at: datetime
    seconds: dict[str, float]
    resellers: tuple[ResellerStands, ...]
    transitions: tuple[Kind, ...]
    mails: tuple[MailKind, ...]
    answers: dict[str, int]
    """What the lines of the files were answered on arrival."""
    states: dict[str, int]
    incidents: dict[str, int]
    problems: tuple[str, ...]
    """What `verify` found, and members that could not be taken over. Empty: all is as it should be."""
    promises_checked: int
    records_checked: int
    settings: Path | None
    mail_folder: Path
    a_mail: Path | None
    hints: tuple[Hint, ...]

    @property
    def steps(self) -> int:
        return sum(kind.count for kind in self.transitions)

    @property
    def mails_sent(self) -> int:
        return sum(kind.sent for kind in self.mails)

    @property
    def lines(self) -> int:
        return sum(self.answers.values())


def summarize(installation: Installation, played: Played) -> Summary:
    """Reads the played database once more and counts."""
    steps: Counter[tuple[str, str]] = Counter()
    messages: Counter[tuple[str, str]] = Counter()
    states: Counter[str] = Counter()
    incidents: Counter[str] = Counter()
    resellers = []
    with installation.database.read() as connection:
        tenants = all_tenants(connection)
        for tenant in tenants:
            sums = simulated.sums(connection, tenant.id)
            steps.update({(row.workflow, row.event): row.count for row in sums.transitions})
            messages.update({(row.template, row.state): row.count for row in sums.messages})
            states.update({f"{row.workflow}.{row.state}": row.count for row in sums.states})
            incidents.update(row.kind for row in sums.incidents)
            resellers.append(_stands(connection, tenant, played))
        hints = _hints(connection, tenants, played)
    report = played.report
    problems = [f"{each.invariant} {each.record}: {each.problem}" for each in report.findings] if report else []
    for imported in played.imports.values():
        for line in imported.lines:
            if line.outcome != "adopted":
                why = "; ".join((*line.problems, *(reason.says.en for reason in line.reasons)))
                problems.append(f"{imported.file}, line {line.lines[0]}: {line.outcome}: {why}")
    folder = installation.settings.mail.folder
    return Summary(
        starts_at=played.starts_at,
        ends_at=played.ends_at,
        seconds={what: round(seconds, 1) for what, seconds in played.seconds.items()},
        resellers=tuple(resellers),
        transitions=_kinds(installation, steps),
        mails=_mail_kinds(installation, messages),
        answers=dict(played.answers.most_common()),
        states=dict(sorted(states.items())),
        incidents=dict(incidents.most_common()),
        problems=tuple(problems),
        promises_checked=len(report.invariants) if report else 0,
        records_checked=report.history if report else 0,
        settings=_here(installation.settings.file),
        mail_folder=_here(folder) or folder,
        a_mail=_here(max(folder.glob(f"{tenants[0].key}/*payment_overdue*.eml"), default=None)),
        hints=hints,
    )


def _stands(connection: Any, tenant: TenantRow, played: Played) -> ResellerStands:
    counts = reading.count_customers(connection, tenant.id, Wanted())
    imported = played.imports.get(tenant.key)
    return ResellerStands(
        tenant.key,
        tenant.name,
        tenant.policy,
        counts["all"],
        imported.count("adopted") if imported is not None else 0,
        {each.name: counts[each.name] for each in LISTS},
    )


def _kinds(installation: Installation, steps: Counter[tuple[str, str]]) -> tuple[Kind, ...]:
    order = [machine.name for machine in installation.workflows]
    found = [Kind(flow, event, event_label(f"{flow}.{event}"), count) for (flow, event), count in steps.items()]
    return tuple(sorted(found, key=lambda kind: (order.index(kind.workflow), -kind.count, kind.event)))


def _mail_kinds(installation: Installation, messages: Counter[tuple[str, str]]) -> tuple[MailKind, ...]:
    kinds = []
    for template, (_, emails) in installation.workflows.templates().items():
        counts = {state: count for (name, state), count in messages.items() if name == template}
        sent, superseded = counts.pop("sent", 0), counts.pop("superseded", 0)
        to = tuple(dict.fromkeys(email.to.name for email in emails))
        kinds.append(MailKind(template, to, sent, superseded, sum(counts.values())))
    return tuple(sorted(kinds, key=lambda kind: (kind.to, -kind.sent, kind.template)))


# --- what to try next ----------------------------------------------------------------------------------------------


def _hints(connection: Any, tenants: list[TenantRow], played: Played) -> tuple[Hint, ...]:
    """Commands about records of this very run."""
    late = _first(connection, tenants, "late")
    ready = _first(connection, tenants, "ready")
    coming = _first(connection, tenants, "upcoming")
    hints = []
    if late is not None:
        tenant, row = late
        found = reading.cases_of_customer(connection, tenant.id, row.ref)
        case = next(c for c in found if c.workflow == "purchase_authorization" and c.state in ("late", "suspended"))
        hints += [
            Hint(f"vipflow customer list --reseller {tenant.key} --list late", "who is late"),
            Hint(f"vipflow customer show {row.ref} --reseller {tenant.key}", f"{row.name}, on one page"),
            Hint(f"vipflow explain {case.ref} --reseller {tenant.key}", "what can be done about it, and what cannot"),
        ]
    if coming is not None:
        tenant, row = coming
        hints.append(
            Hint(f"vipflow next {row.ref} --reseller {tenant.key}", "what the clock will do, with which mails")
        )
    if ready is not None:
        tenant, row = ready
        hints.append(Hint(f"vipflow history {row.ref} --reseller {tenant.key}", "everything that ever happened"))
    hints.append(Hint(f"vipflow incident list --reseller {tenants[-1].key}", "what needs a person"))
    hints.append(Hint("vipflow verify", "the promises, proved on these data"))
    return tuple(hints)


def _first(connection: Any, tenants: list[TenantRow], name: str) -> tuple[TenantRow, Any] | None:
    for tenant in tenants[1:] + tenants[:1]:
        rows = reading.customers_page(connection, tenant.id, Wanted(list=name), LATEST_CHANGES)
        if rows:
            return tenant, max(rows, key=lambda row: (row.sequence, row.ref))
    return None


def _here(path: Path | None) -> Path | None:
    """As people would type it: from where they stand, if it is below."""
    if path is None:
        return None
    here = Path().resolve()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path
