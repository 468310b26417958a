"""Tables of customers made drafts, one for each customer: the event that would be posted, or what stands against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from vipflow.engine.envelope import Envelope, envelope_of
from vipflow.errors import BadInput
from vipflow.operations.csvfiles import Row, Table, open_table
from vipflow.operations.forms import problem_of
from vipflow.operations.importprofiles import Profile
from vipflow.operations.installation import Installation
from vipflow.operations.membercolumns import AUTHORIZATIONS, CUSTOMERS, SHOWN_ONLY
from vipflow.operations.memberfiles import MembersReader, merged
from vipflow.operations.membervalues import TO_INVITE, WITHDRAWN, word
from vipflow.operations.who import Who
from vipflow.policy import content_hash
from vipflow.store.tenants import MemberRow, team_members
from vipflow.vip.customers import provisional_number

SOURCE: Final = "import"
_PROVISIONAL: Final = provisional_number("C-")
"""What numbers of ours begin with that stand until Adobe's is recorded."""

Kind: TypeAlias = Literal["adopt", "invite", "leave"]


class Draft(msgspec.Struct):
    """One customer of the table, on its way. `note`: why it is left out, where it is."""

    lines: tuple[int, ...]
    vip_number: str
    company: str
    kind: Kind
    cells: Mapping[str, str]
    envelope: Envelope | None = None
    problems: list[str] = msgspec.field(default_factory=list)
    note: str = ""

    @property
    def provisional(self) -> bool:
        """Whether its VIP number is one of ours."""
        return self.vip_number.upper().startswith(_PROVISIONAL)

    @property
    def email(self) -> str:
        return self.cells.get("contact_email", "").lower()


class Source:
    """The tables of an import, opened: read as often as `drafts` is asked for, never held whole."""

    def __init__(
        self,
        installation: Installation,
        who: Who,
        profile: Profile,
        file: Path,
        authorizations: Path | None = None,
        *,
        invite: bool = False,
    ) -> None:
        self.installation = installation
        self.who = who
        self.profile = profile
        self.invite = invite
        constants = profile.habits.constants
        needed = [name for name in ("company", "contact_email") if name not in constants]
        if not invite:
            needed.insert(0, "vip_number")
        self.customers = open_table(file, CUSTOMERS, needed, profile.customers, passed_over=SHOWN_ONLY)
        self.authorizations: Table | None = None
        if authorizations is not None:
            needed = ["vip_number", "created_on", "product", "quantity"]
            self.authorizations = open_table(authorizations, AUTHORIZATIONS, needed, profile.authorizations)
        self.count = 0
        """How many customers there are; known once `drafts` has begun."""

    @property
    def digests(self) -> tuple[str, ...]:
        """Of the files' bytes: the same files have the same."""
        return tuple(table.digest for table in (self.customers, self.authorizations) if table is not None)

    def reopened(self) -> Source:
        """The same files, looked at again."""
        other = self.authorizations.file if self.authorizations is not None else None
        return Source(self.installation, self.who, self.profile, self.customers.file, other, invite=self.invite)

    def drafts(self) -> Iterator[Draft]:
        """A draft for each customer, as soon as the last of its rows was read; then authorizations of nobody's."""
        with self.installation.database.read() as connection:
            members = team_members(connection, self.who.tenant)
        opened: dict[str, list[Row]] = {}
        if self.authorizations is not None:
            words = self.profile.habits._replace(constants={})
            for row in self.authorizations.rows():
                cells = words.translated(row.cells)
                opened.setdefault(cells.get("vip_number", ""), []).append(Row(row.line, cells))
        left = Counter(row.cells.get("vip_number", "") for row in self._rows())
        alone = left.pop("", 0)
        self.count = len(left) + alone + len(opened.keys() - left.keys())
        taken: dict[str, int] = {}
        for rows in self._together(left.copy()):
            draft = self._draft(rows, members, opened)
            draft.problems += _taken_before(draft, taken)
            yield draft
        yield from _orphans(opened, left)

    def _together(self, left: Counter[str]) -> Iterator[list[Row]]:
        """The rows of each customer, `left` counting those of each VIP number."""
        waiting: dict[str, list[Row]] = {}
        for row in self._rows():
            number = row.cells.get("vip_number")
            if number is None:
                yield [row]
                continue
            waiting.setdefault(number, []).append(row)
            left[number] -= 1
            if not left[number]:
                yield waiting.pop(number)

    def _rows(self) -> Iterator[Row]:
        habits = self.profile.habits
        return (Row(row.line, habits.translated(row.cells)) for row in self.customers.rows())

    def _draft(self, rows: Sequence[Row], members: Sequence[MemberRow], opened: Mapping[str, list[Row]]) -> Draft:
        cells = merged(rows)
        number = cells.get("vip_number", "")
        draft = Draft(tuple(row.line for row in rows), number, cells.get("company", ""), "adopt", cells)
        if draft.provisional:
            del cells["vip_number"]
        self._choose(draft, number)
        if draft.kind == "leave":
            return draft
        reader = MembersReader(self.installation.catalogue, members, self.who, self.profile.habits)
        data = (reader.member if draft.kind == "adopt" else reader.invited)(rows, cells, opened.get(number, []))
        draft.problems += [*_disagreements(rows), *reader.problems]
        if not draft.problems:
            try:
                draft.envelope = self._envelope(draft, data)
            except BadInput as wrong:
                draft.problems.append(_plainly(wrong))
        return draft

    def _choose(self, draft: Draft, number: str) -> None:
        """Whether it is a member, one to be invited, or neither."""
        given = draft.cells.get("invitation")
        try:
            said = word("invitation", given) if given is not None else None
        except ValueError as wrong:
            draft.problems.append(f"invitation: {wrong}")
            return
        if said == WITHDRAWN:
            draft.kind, draft.note = "leave", "its invitation was withdrawn"
        elif said == TO_INVITE and not self.invite:
            draft.kind, draft.note = "leave", "it is no member yet; with --invite it is invited, by a mail"
        elif said == TO_INVITE or (said is None and not number and self.invite):
            draft.kind = "invite"
        elif "vip_number" not in draft.cells:
            if number:
                draft.problems.append(f"the VIP number {number} is provisional; record Adobe's before it is exported")
            else:
                draft.problems.append("the VIP number is missing; who is no member yet is invited with --invite")

    def _envelope(self, draft: Draft, data: Mapping[str, Any]) -> Envelope:
        subject = f"customers/{draft.cells['reference']}" if "reference" in draft.cells else "customers"
        named = f"{draft.kind}/{data['vip_number']}" if "vip_number" in data else draft.kind
        given: dict[str, Any] = {
            "type": f"customer.{draft.kind}",
            "source": SOURCE,
            "id": f"{named}/{content_hash({'subject': subject, 'data': data})}",
            "subject": subject,
            "data": dict(data),
        }
        if self.who.on is not None:
            given["time"] = self.who.on.isoformat()
        return envelope_of(given, self.installation.workflows, actor=self.who.as_actor)


def _disagreements(rows: Sequence[Row]) -> Iterator[str]:
    """Rows of one VIP number may differ in product and quantity only."""
    first = rows[0].cells
    for row in rows[1:]:
        for name, cell in row.cells.items():
            if name not in ("product", "quantity") and first.get(name, cell) != cell:
                yield f"{name} differs from line {rows[0].line}: {cell!r}"
    if len(rows) > 1 and not all("product" in row.cells for row in rows):
        yield f"the VIP number stands on lines {', '.join(str(row.line) for row in rows)}, and not for several products"


def _taken_before(draft: Draft, taken: dict[str, int]) -> Iterator[str]:
    """What names one customer alone, and an earlier line has: your reference; the address of one to be invited."""
    if draft.envelope is None:
        return
    names = {"your reference": draft.cells.get("reference", "")}
    if draft.kind == "invite":
        names["the e-mail"] = draft.email
    for what, value in names.items():
        before = taken.setdefault(f"{what}/{value}", draft.lines[0]) if value else draft.lines[0]
        if before != draft.lines[0]:
            draft.envelope = None
            yield f"{what} {value} stands on line {before} already, with another customer"


def _plainly(wrong: BadInput) -> str:
    """What is wrong with the fields, without the words of events."""
    cause = wrong.__cause__
    return problem_of(cause) if isinstance(cause, (msgspec.ValidationError, ValueError)) else wrong.problem


def _orphans(opened: Mapping[str, Iterable[Row]], known: Mapping[str, int]) -> Iterator[Draft]:
    """Authorizations of members that the table of customers does not list."""
    for vip_number, rows in opened.items():
        if vip_number not in known:
            problem = "an authorization of a customer that the table of customers does not list"
            yield Draft(tuple(row.line for row in rows), vip_number, "", "adopt", {}, problems=[problem])
