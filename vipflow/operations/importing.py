"""Existing members taken over from a table, as a reseller exports its customers: silently, each VIP number once.

One row per customer; or several, one per product, that repeat the VIP number. What is open with a customer may come in
a second table, one row per product of an authorization. A second import of the same table changes nothing: the event of
a row is named for its VIP number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from vipflow.case import Event, Refusal
from vipflow.decide import decide
from vipflow.engine.envelope import Envelope, Verdict, envelope_of
from vipflow.errors import BadInput, VipflowError
from vipflow.operations.allowed import not_allowed
from vipflow.operations.csvfiles import Row, Table, read_table
from vipflow.operations.forms import problem_of
from vipflow.operations.installation import Installation
from vipflow.operations.memberfiles import AUTHORIZATIONS, CUSTOMERS, MembersReader, merged
from vipflow.operations.who import Who
from vipflow.policy import content_hash
from vipflow.store import reading, work
from vipflow.store.tenants import team_members
from vipflow.workflow import Reason

SOURCE: Final = "import"
BATCH: Final = 200
SHORTEST_NAME_OF_A_PRODUCT: Final = 3

Outcome: TypeAlias = Literal["adopted", "would be adopted", "there already", "refused", "wrong"]


class ImportedLine(msgspec.Struct, frozen=True):
    """What became of one customer of the table. `lines`: where it stands in the file."""

    lines: tuple[int, ...]
    vip_number: str
    company: str
    outcome: Outcome
    customer: str | None = None
    problems: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


class ImportReport(msgspec.Struct, frozen=True):
    """An import, line by line. `ignored`: columns that nothing was made of."""

    file: str
    dry_run: bool
    lines: tuple[ImportedLine, ...]
    ignored: tuple[str, ...]

    def count(self, *outcomes: Outcome) -> int:
        return sum(line.outcome in outcomes for line in self.lines)


class _Planned(msgspec.Struct):
    """One customer on its way."""

    lines: tuple[int, ...]
    vip_number: str
    company: str
    envelope: Envelope | None = None
    problems: list[str] = msgspec.field(default_factory=list)


def import_members(
    installation: Installation,
    who: Who,
    file: Path,
    *,
    authorizations: Path | None = None,
    dry_run: bool = False,
    default_country: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Adopts the members that `file` lists. Good rows stand whatever is wrong with others.

    `dry_run` writes nothing and says what would happen. `progress(done, all)` is called as it goes. Raises BadInput
    where a file cannot be read as a table, or the asker may not adopt.
    """
    refused = not_allowed(installation, who, "customer.adopt", None)
    if refused is not None:
        raise BadInput("the import", refused.says.en, refused.unblock.en if refused.unblock is not None else "")
    table = read_table(file, CUSTOMERS, ("vip_number", "company", "contact_email"))
    open_ones = None
    if authorizations is not None:
        open_ones = read_table(authorizations, AUTHORIZATIONS, ("vip_number", "created_on", "product", "quantity"))
    planned = list(_plan(installation, who, table, open_ones, default_country))
    if open_ones is not None:
        planned += _orphans(open_ones, {each.vip_number for each in planned})
    lines: list[ImportedLine] = []
    for start in range(0, len(planned), BATCH):
        part = planned[start : start + BATCH]
        lines += _foreseen(installation, who, part) if dry_run else _posted(installation, who, part)
        if progress is not None:
            progress(start + len(part), len(planned))
    ignored = (*table.ignored, *(open_ones.ignored if open_ones is not None else ()))
    return ImportReport(str(file), dry_run, tuple(lines), ignored)


# --- from rows to events -------------------------------------------------------------------------------------------


def _plan(
    installation: Installation, who: Who, table: Table, open_ones: Table | None, country: str | None
) -> Iterator[_Planned]:
    with installation.database.read() as connection:
        members = team_members(connection, who.tenant)
    opened: dict[str, list[Row]] = {}
    for row in open_ones.rows if open_ones is not None else ():
        opened.setdefault(row.cells.get("vip_number", ""), []).append(row)
    grouped: dict[str, list[Row]] = {}
    for at, row in enumerate(table.rows):
        grouped.setdefault(row.cells.get("vip_number", f"?{at}"), []).append(row)
    for vip_number, rows in grouped.items():
        cells = merged(rows)
        known = "vip_number" in cells
        found = _Planned(tuple(row.line for row in rows), vip_number if known else "", cells.get("company", ""))
        reader = MembersReader(installation.catalogue, members, who, country)
        if not known:
            found.problems.append("the VIP number is missing")
        data = reader.customer(rows, cells, opened.get(vip_number, []))
        found.problems += [*_disagreements(rows), *reader.problems]
        if not found.problems:
            subject = f"customers/{cells['reference']}" if "reference" in cells else "customers"
            try:
                found.envelope = _envelope(installation, who, subject, vip_number, data)
            except BadInput as wrong:
                found.problems.append(_plainly(wrong))
        yield found


def _disagreements(rows: Sequence[Row]) -> Iterator[str]:
    """Rows of one VIP number may differ in product and quantity only."""
    first = rows[0].cells
    for row in rows[1:]:
        for name, cell in row.cells.items():
            if name not in ("product", "quantity") and first.get(name, cell) != cell:
                yield f"{name} differs from line {rows[0].line}: {cell!r}"
    if len(rows) > 1 and not all("product" in row.cells for row in rows):
        yield f"the VIP number stands on lines {', '.join(str(row.line) for row in rows)}, and not for several products"


def _envelope(installation: Installation, who: Who, subject: str, vip_number: str, data: Mapping[str, Any]) -> Envelope:
    given: dict[str, Any] = {
        "type": "customer.adopt",
        "source": SOURCE,
        "id": f"adopt/{vip_number}/{content_hash({'subject': subject, 'data': data})}",
        "subject": subject,
        "data": dict(data),
    }
    if who.on is not None:
        given["time"] = who.on.isoformat()
    return envelope_of(given, installation.workflows, actor=who.as_actor)


def _plainly(wrong: BadInput) -> str:
    """What is wrong with the fields, without the words of events."""
    cause = wrong.__cause__
    return problem_of(cause) if isinstance(cause, (msgspec.ValidationError, ValueError)) else wrong.problem


def _orphans(table: Table, known: set[str]) -> Iterator[_Planned]:
    """Authorizations of members that the table of customers does not list."""
    strangers: dict[str, list[int]] = {}
    for row in table.rows:
        if row.cells.get("vip_number", "") not in known:
            strangers.setdefault(row.cells.get("vip_number", ""), []).append(row.line)
    for vip_number, lines in strangers.items():
        problem = "an authorization of a customer that the table of customers does not list"
        yield _Planned(tuple(lines), vip_number, "", problems=[problem])


# --- from events to answers ----------------------------------------------------------------------------------------


OTHER_DATA = "it is there already, from elsewhere or with other data; nothing was changed"


def _posted(installation: Installation, who: Who, planned: Sequence[_Planned]) -> Iterator[ImportedLine]:
    """Posts those whom nobody knows yet. What was refused before is asked again: the reason may be gone by now."""
    numbers = [each.vip_number for each in planned if each.envelope is not None]
    with installation.database.read() as connection:
        there = {row.value: row.case_ref for row in reading.bearers(connection, who.tenant, "customers", numbers)}
        ids = [each.envelope.id for each in planned if each.envelope is not None and each.vip_number in there]
        same = {row.event_id for row in work.received(connection, who.tenant, [SOURCE], ids)} if ids else set()
    strangers = [each for each in planned if each.envelope is not None and each.vip_number not in there]
    answers = _asked(installation, who, [each.envelope for each in strangers if each.envelope is not None])
    for each in planned:
        if each.envelope is None:
            yield ImportedLine(each.lines, each.vip_number, each.company, "wrong", None, tuple(each.problems))
        elif each.vip_number in there:
            known = there[each.vip_number]
            problems = () if each.envelope.id in same else (OTHER_DATA,)
            yield ImportedLine(each.lines, each.vip_number, each.company, "there already", known, problems)
        else:
            yield _answered(each, next(answers))


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


def _answered(each: _Planned, answer: Verdict | VipflowError) -> ImportedLine:
    if isinstance(answer, VipflowError):
        return ImportedLine(each.lines, each.vip_number, each.company, "wrong", None, (str(answer),))
    outcome: Outcome = "adopted" if answer.verdict == "applied" else "refused"
    if answer.verdict == "applied" and answer.replayed:
        outcome = "there already"
    return ImportedLine(each.lines, each.vip_number, each.company, outcome, answer.subject, (), answer.reasons)


def _foreseen(installation: Installation, who: Who, planned: Sequence[_Planned]) -> Iterator[ImportedLine]:
    """What posting would answer, decided on nothing and written nowhere."""
    numbers = [each.vip_number for each in planned if each.envelope is not None]
    with installation.database.read() as connection:
        there = {row.value: row.case_ref for row in reading.bearers(connection, who.tenant, "customers", numbers)}
        batch = installation.engine.batch(connection, who.tenant, installation.clock.now())
        for each in planned:
            if each.envelope is None:
                yield ImportedLine(each.lines, each.vip_number, each.company, "wrong", None, tuple(each.problems))
            elif each.vip_number in there:
                yield ImportedLine(each.lines, each.vip_number, each.company, "there already", there[each.vip_number])
            else:
                envelope = each.envelope
                at = envelope.occurred_at or batch.now
                event = Event("customer", "adopt", at, envelope.data, envelope.actor, envelope.cause)
                work = batch.new_subject("C-0000-0000")
                outcome = batch.ask(work, lambda view, event=event: decide(installation.workflows, event, view))
                reasons = outcome.reasons if isinstance(outcome, Refusal) else ()
                verdict: Outcome = "refused" if reasons else "would be adopted"
                yield ImportedLine(each.lines, each.vip_number, each.company, verdict, None, (), reasons)
