"""Customers taken over from a table, as a reseller exports its own: planned first, line by line, then done as planned.

One row per customer; or several, one per product, that repeat the VIP number. What is open with a customer may come in
a second table, one row per product of an authorization. Members are adopted, silently; who is none yet is invited only
where that is asked for. A second import of the same table changes nothing: the event of a row is named for its content,
and who is there already stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from vipflow.case import Decision, Event, Refusal
from vipflow.decide import decide
from vipflow.engine.batch import Batch
from vipflow.engine.envelope import Envelope, Verdict
from vipflow.engine.holds import on_hold
from vipflow.errors import BadInput, Conflict, VipflowError
from vipflow.operations.allowed import not_allowed
from vipflow.operations.csvfiles import SEPARATORS, Table
from vipflow.operations.encodings import SAID
from vipflow.operations.importdrafts import SOURCE, Draft, Source
from vipflow.operations.importlikeness import Alike, Difference, Likeness, differences
from vipflow.operations.importprofiles import profile_of
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store import reading, work
from vipflow.workflow import Reason, Text

BATCH: Final = 200

Outcome: TypeAlias = Literal[
    "adopted",
    "invited",
    "would be adopted",
    "would be invited",
    "there already",
    "different",
    "left out",
    "refused",
    "wrong",
]
"""`different`: there already, and the line says otherwise; nothing of it is changed. `left out`: on purpose."""

_WOULD: Final[dict[str, Outcome]] = {"adopt": "would be adopted", "invite": "would be invited"}
_DID: Final[dict[str, Outcome]] = {"adopt": "adopted", "invite": "invited"}


class ImportedLine(msgspec.Struct, frozen=True):
    """What became, or would become, of one customer of the table. `lines`: where it stands; `mails`: the templates of
    those that leave.
    """

    lines: tuple[int, ...]
    vip_number: str
    company: str
    outcome: Outcome
    customer: str | None = None
    problems: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    alike: tuple[Alike, ...] = ()
    differences: tuple[Difference, ...] = ()
    mails: tuple[str, ...] = ()


class ReadAs(msgspec.Struct, frozen=True):
    """How a table was read. `columns`: our names with its headings; `ignored`: columns that nothing was made of."""

    file: str
    encoding: str
    separator: str
    columns: dict[str, str]
    ignored: tuple[str, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """An import, line by line. `otherwise`: so many lines went otherwise than planned; `tables`: how they were read;
    `mails`: how many leave, by template.
    """

    file: str
    dry_run: bool
    lines: tuple[ImportedLine, ...]
    ignored: tuple[str, ...]
    tables: tuple[ReadAs, ...] = ()
    profile: str | None = None
    mails: dict[str, int] = {}
    otherwise: int = 0

    def count(self, *outcomes: Outcome) -> int:
        return sum(line.outcome in outcomes for line in self.lines)


@dataclass(frozen=True)
class Plan:
    """What an import would do: `report` says it; `events` names, line by line, the event that would be posted."""

    source: Source
    report: ImportReport
    events: Sequence[str | None]

    @property
    def asks(self) -> int:
        """How many customers would be taken over or invited."""
        return self.report.count("would be adopted", "would be invited")


Progress: TypeAlias = Callable[[int, int], None]


def import_members(
    installation: Installation,
    who: Who,
    file: Path,
    *,
    authorizations: Path | None = None,
    profile: str | None = None,
    country: str | None = None,
    invite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Plans the import and carries it out, or only plans it: for programs that ask nobody."""
    plan = plan_import(
        installation,
        who,
        file,
        authorizations=authorizations,
        profile=profile,
        country=country,
        invite=invite,
        progress=progress if dry_run else None,
    )
    return plan.report if dry_run else carry_out(installation, who, plan, progress)


def plan_import(
    installation: Installation,
    who: Who,
    file: Path,
    *,
    authorizations: Path | None = None,
    profile: str | None = None,
    country: str | None = None,
    invite: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """What importing `file` would do, line by line; nothing is written.

    `profile`: of the settings' `imports`; `country`: of rows that name none; `invite`: who is no member yet is invited,
    with the mail that goes with it. `progress(done, all)` is called as it goes. Raises BadInput where a file cannot be
    read as a table, or the asker may not do this.
    """
    for event in ("customer.adopt", *(["customer.invite"] if invite else [])):
        refused = not_allowed(installation, who, event, None)
        if refused is not None:
            raise BadInput("the import", refused.says.en, refused.unblock.en if refused.unblock is not None else "")
    chosen = profile_of(installation.settings, profile, country)
    source = Source(installation, who, chosen, file, authorizations, invite=invite)
    likeness = Likeness(who)
    lines: list[ImportedLine] = []
    events: list[str | None] = []
    for part in _parts(source.drafts()):
        found = _foreseen(installation, who, part, likeness)
        lines += found
        asked = zip(part, found, strict=True)
        events += [d.envelope.id if d.envelope is not None and _would(line) else None for d, line in asked]
        if progress is not None:
            progress(len(lines), source.count)
    return Plan(source, _report(source, lines, dry_run=True), events)


def carry_out(installation: Installation, who: Who, plan: Plan, progress: Progress | None = None) -> ImportReport:
    """Does what was planned, and nothing else. Good rows stand whatever is wrong with others.

    A line that would by now be done otherwise (somebody took the customer over, or left the team) is told, and not
    done. What was cut short is finished by importing the same file again. Raises Conflict, before anything is written,
    where a file is no longer the one that was planned.
    """
    source = plan.source.reopened()
    if source.digests != plan.source.digests:
        file = str(plan.source.customers.file)
        raise Conflict("the file", file, "it changed since it was planned; nothing was written", "import it again")
    lines: list[ImportedLine] = []
    otherwise = 0
    for part in _parts(source.drafts()):
        start = len(lines)
        planned = plan.report.lines[start : start + len(part)]
        for was, now in zip(planned, _posted(installation, who, part, planned, plan.events[start:]), strict=True):
            otherwise += _would(was) and now.outcome not in _DID.values()
            lines.append(now)
        if progress is not None:
            progress(len(lines), source.count)
    return replace(_report(source, lines, dry_run=False), otherwise=otherwise)


def _report(source: Source, lines: Sequence[ImportedLine], *, dry_run: bool) -> ImportReport:
    tables = tuple(_read_as(table) for table in (source.customers, source.authorizations) if table is not None)
    ignored = tuple(heading for table in tables for heading in table.ignored)
    mails = dict(Counter(template for line in lines for template in line.mails))
    file = str(source.customers.file)
    return ImportReport(file, dry_run, tuple(lines), ignored, tables, source.profile.name, mails)


def _read_as(table: Table) -> ReadAs:
    encoding = SAID.get(table.encoding, table.encoding)
    return ReadAs(str(table.file), encoding, SEPARATORS[table.separator], dict(table.columns), table.ignored)


Each = TypeVar("Each")


def _parts(drafts: Iterator[Each]) -> Iterator[list[Each]]:
    while part := list(islice(drafts, BATCH)):
        yield part


def _would(line: ImportedLine) -> bool:
    return line.outcome in _WOULD.values()


# --- who is there --------------------------------------------------------------------------------------------------


def _there(connection: Connection, who: Who, drafts: Sequence[Draft]) -> list[str | None]:
    """The customer that each draft means, where there is one.

    A member is known by its VIP number alone; who is to be invited also by your reference, or by the contact's address
    in the same country: an invitation never goes out twice because a name was put right.
    """
    to_invite = [draft for draft in drafts if draft.kind == "invite"]
    values = {draft.vip_number for draft in drafts if draft.vip_number}
    values |= {draft.cells["reference"] for draft in to_invite if "reference" in draft.cells}
    named = {row.value: row.case_ref for row in reading.bearers(connection, who.tenant, "customers", sorted(values))}
    emails = sorted({draft.email for draft in to_invite})
    alike = reading.alike(connection, who.tenant, [], [], emails, BATCH * 10) if emails else []
    addressed = {(row.email.lower(), row.country): row.ref for row in alike if row.email}
    found = []
    for draft in drafts:
        ref = named.get(draft.vip_number)
        if draft.kind == "invite" and draft.envelope is not None:
            ref = ref or named.get(draft.cells.get("reference", ""))
            ref = ref or addressed.get((draft.email, draft.envelope.data.country))
        found.append(ref)
    return found


def _same(connection: Connection, who: Who, drafts: Sequence[Draft], there: Sequence[str | None]) -> set[str]:
    """The events, of customers that are there, that an import has posted before: the line did not change."""
    ids = [d.envelope.id for d, ref in zip(drafts, there, strict=True) if ref is not None and d.envelope is not None]
    return {row.event_id for row in work.received(connection, who.tenant, [SOURCE], ids)} if ids else set()


# --- what would happen ---------------------------------------------------------------------------------------------


def _foreseen(
    installation: Installation, who: Who, drafts: Sequence[Draft], likeness: Likeness
) -> Sequence[ImportedLine]:
    with installation.database.read() as connection:
        there = _there(connection, who, drafts)
        same = _same(connection, who, drafts, there)
        known = {
            ref: draft
            for draft, ref in zip(drafts, there, strict=True)
            if ref is not None and draft.envelope is not None and draft.envelope.id not in same
        }
        differing = differences(installation, connection, who, known) if known else {}
        new = [d for d, ref in zip(drafts, there, strict=True) if ref is None and d.envelope is not None]
        alike = iter(likeness.of(connection, new)) if new else iter(())
        references = sorted({draft.cells["reference"] for draft in new if "reference" in draft.cells})
        taken = {row.value: row.case_ref for row in reading.bearers(connection, who.tenant, "customers", references)}
        batch = installation.engine.batch(connection, who.tenant, installation.engine.read_now(connection))
        lines = []
        for draft, ref in zip(drafts, there, strict=True):
            if draft.envelope is None and ref is not None and (draft.provisional or draft.kind == "leave"):
                lines.append(_line(draft, "there already", customer=ref))
            elif draft.envelope is None:
                lines.append(_undone(draft))
            elif ref is not None:
                unlike = differing.get(ref, ()) if draft.envelope.id not in same else ()
                outcome: Outcome = "different" if unlike else "there already"
                lines.append(_line(draft, outcome, customer=ref, differences=unlike))
            else:
                lines.append(_decided(installation, batch, draft, next(alike), taken))
        return lines


def _decided(
    installation: Installation, batch: Batch, draft: Draft, alike: tuple[Alike, ...], taken: dict[str, str]
) -> ImportedLine:
    """What posting would answer, decided on nothing and written nowhere."""
    envelope = draft.envelope
    assert envelope is not None  # noqa: S101 - asked of drafts with an event alone
    held = batch.held(None)
    if held is not None:
        return _line(draft, "refused", reasons=(on_hold(held),), alike=alike)
    reference = draft.cells.get("reference", "")
    if reference in taken:
        return _line(draft, "refused", reasons=(_reference_taken(reference, taken[reference]),), alike=alike)
    at = envelope.occurred_at or batch.now
    event = Event("customer", envelope.event, at, envelope.data, envelope.actor, envelope.cause)
    subject = batch.new_subject("C-0000-0000")
    outcome = batch.ask(subject, lambda view: decide(installation.workflows, event, view))
    if isinstance(outcome, Refusal):
        return _line(draft, "refused", reasons=outcome.reasons, alike=alike)
    steps = outcome.steps if isinstance(outcome, Decision) else ()
    mails = tuple(message.template for step in steps for message in step.messages)
    return _line(draft, _WOULD[draft.kind], alike=alike, mails=mails)


def _undone(draft: Draft) -> ImportedLine:
    outcome: Outcome = "wrong" if draft.problems else "left out"
    return _line(draft, outcome, problems=tuple(draft.problems or [draft.note]))


def _line(draft: Draft, outcome: Outcome, **more: Any) -> ImportedLine:
    return ImportedLine(draft.lines, draft.vip_number, draft.company, outcome, **more)


def _reference_taken(reference: str, customer: str) -> Reason:
    return Reason(
        "name_taken",
        Text(f"«\u00a0{reference}\u00a0» désigne déjà {customer}.", f"“{reference}” already names {customer}."),
        {"customer": customer},
        Text(
            f"Si c'est le même client, enregistrez son numéro VIP\u00a0: vipflow customer vip-number {customer}.",
            f"If it is the same customer, record its VIP number: vipflow customer vip-number {customer} NUMBER.",
        ),
    )


# --- what happens --------------------------------------------------------------------------------------------------

_SOMEBODY_FASTER: Final = "it came here since it was planned, by another way; nothing was changed"
_READS_OTHERWISE: Final = "it would be done otherwise than planned, for the team or the settings changed; import again"


def _posted(
    installation: Installation,
    who: Who,
    drafts: Sequence[Draft],
    planned: Sequence[ImportedLine],
    events: Sequence[str | None],
) -> Iterator[ImportedLine]:
    """Posts what was planned so. What was refused before is asked again: the reason may be gone by now."""
    asked = [
        draft if _would(line) and draft.envelope is not None and draft.envelope.id == event else None
        for draft, line, event in zip(drafts, planned, events, strict=False)
    ]
    wanted = [draft for draft in asked if draft is not None]
    with installation.database.read() as connection:
        there = dict(zip(map(id, wanted), _there(connection, who, wanted), strict=True))
    strangers = [draft for draft in wanted if there[id(draft)] is None]
    answers = _asked(installation, who, [draft.envelope for draft in strangers if draft.envelope is not None])
    for draft, line in zip(asked, planned, strict=True):
        if draft is None:
            problems = (_READS_OTHERWISE,)
            yield replace(line, outcome="left out", problems=problems, mails=()) if _would(line) else line
        elif there[id(draft)] is not None:
            known = there[id(draft)]
            yield replace(line, outcome="there already", customer=known, problems=(_SOMEBODY_FASTER,), mails=())
        else:
            yield _answered(draft, line, next(answers))


def _asked(
    installation: Installation, who: Who, envelopes: Sequence[Envelope], attempt: int = 1
) -> Iterator[Verdict | VipflowError]:
    answers = installation.engine.post(who.tenant, envelopes)
    again = {
        place: replace(envelopes[place], id=f"{envelopes[place].id}/{attempt}")
        for place, answer in enumerate(answers)
        if isinstance(answer, Verdict) and answer.verdict == "refused" and answer.replayed
    }
    anew = _asked(installation, who, list(again.values()), attempt + 1) if again else iter(())
    for place, answer in enumerate(answers):
        yield next(anew) if place in again else answer


def _answered(draft: Draft, line: ImportedLine, answer: Verdict | VipflowError) -> ImportedLine:
    if isinstance(answer, VipflowError):
        return replace(line, outcome="wrong", problems=(str(answer),), mails=())
    if answer.verdict != "applied":
        return replace(line, outcome="refused", reasons=answer.reasons, mails=())
    outcome: Outcome = "there already" if answer.replayed else _DID[draft.kind]
    return replace(line, outcome=outcome, customer=answer.subject, mails=() if answer.replayed else line.mails)
