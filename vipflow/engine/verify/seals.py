"""The acts, and the seals over history and acts (I8): in the database, in their file, and against what they cover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from vipflow.engine import sealfile
from vipflow.engine.sealfile import SealFault, SealPlace
from vipflow.engine.verify.report import Findings
from vipflow.store import seals as store
from vipflow.store.audit import all_acts, hash_of
from vipflow.store.chain import Digest
from vipflow.store.seals import Seal
from vipflow.store.verify import tenant_keys

_NAMED = 5  # customers of a seal that does not hold


class SealsAsWritten:
    """The seals outside the database. Make it before the database's transaction begins: what is in the file by then
    must be in the database too.
    """

    def __init__(self, place: SealPlace | None, findings: Findings) -> None:
        self.place = place
        self.key: bytes | None = None
        self.size = 0
        if place is None:
            return
        try:
            self.size = place.size()
            self.key = place.read_key()
        except SealFault as fault:
            findings.not_run("I8", f"the signatures of seals: {fault}")

    @property
    def kept_here(self) -> bool:
        """Whether this machine has anything to do with seals."""
        return self.place is not None and (self.key is not None or self.size > 0 or self.place.key.exists())


@dataclass
class Sealed:
    """How far the seals reach."""

    seals: int = 0
    last_at: datetime | None = None
    history: int = 0
    unsealed: int = 0
    unsealed_since: datetime | None = None


def check_acts(connection: Connection, findings: Findings) -> int:
    """Every act is there, as it was written; how many there are."""
    keys = tenant_keys(connection)
    previous, last, acts = "", 0, 0
    for row in all_acts(connection):
        acts += 1
        tenant = None if row.tenant is None else keys.get(row.tenant, f"#{row.tenant}")
        record = f"act {row.position}"
        if hash_of(row, previous) != row.hash:
            if row.position > last + 1:
                gone = f"{last + 1}" if row.position == last + 2 else f"{last + 1} to {row.position - 1}"
                findings.add("I8", tenant, None, record, f"act {gone} before it is gone")
            else:
                findings.add("I8", tenant, None, record, "it was changed after it was written, or put in")
        previous, last = row.hash, row.position
    findings.count("I8", acts)
    return acts


def check_seals(connection: Connection, findings: Findings, written: SealsAsWritten) -> Sealed:
    """Every seal is there, signed, and holds over what it covers."""
    return _Check(connection, findings, written).run()


class _Check:
    def __init__(self, connection: Connection, findings: Findings, written: SealsAsWritten) -> None:
        self.connection = connection
        self.findings = findings
        self.written = written
        self.keys = tenant_keys(connection)
        self.key = written.key
        self.history = _Upto(store.history_between(connection, 0, 2**62))
        self.acts = _Upto(store.acts_between(connection, 0, 2**62))

    def run(self) -> Sealed:
        reached = Sealed()
        before: Seal | None = None
        for seal in self._all_seals():
            self.findings.count("I8")
            expected = before.number + 1 if before is not None else 1
            if seal.number != expected:
                gone = f"{expected}" if seal.number == expected + 1 else f"{expected} to {seal.number - 1}"
                self._note(seal, f"seal {gone} before it is gone")
            sound = self._check_signature(seal, before, follows=seal.number == expected)
            self._check_cover(seal, before, sound=sound)
            reached.seals = seal.number
            reached.last_at = _instant(seal.made_at)
            reached.history = seal.history_rows
            before = seal
        if before is not None and self.key is None and self.written.place is not None:
            self.findings.not_run("I8", "the signatures of seals: there is no key here")
        reach = (0, 0) if before is None else (before.history_to, before.audit_to)
        reached.unsealed, reached.unsealed_since = store.unsealed(self.connection, *reach)
        return reached

    def _note(self, seal: Seal, problem: str, remedy: str | None = None) -> None:
        self.findings.add("I8", None, None, f"seal {seal.number} of {seal.made_at}", problem, remedy)

    def _check_signature(self, seal: Seal, before: Seal | None, *, follows: bool) -> bool:
        sound = True
        if self.key is not None and seal.signed(self.key) != seal.mac:
            self._note(seal, "it was not made with the key, or changed after it was made")
            sound = False
        if follows and seal.previous != (before.mac if before is not None else ""):
            self._note(seal, "it does not follow the seal before it")
        return sound

    def _check_cover(self, seal: Seal, before: Seal | None, *, sound: bool) -> None:
        digest = Digest()
        for row in self.history.take(seal.history_to):
            digest.add_history(row)
        for row in self.acts.take(seal.audit_to):
            digest.add_act(row)
        if not sound or digest.text() == seal.digest:
            return
        of_history, _, of_acts = seal.digest.partition(".")
        history, _, acts = digest.text().partition(".")
        if history != of_history:
            self._note_history(seal, before, digest.rows)
        if acts != of_acts:
            self._note_acts(seal, before, digest.acts)

    def _note_acts(self, seal: Seal, before: Seal | None, found: int) -> None:
        expected = seal.audit_to - (before.audit_to if before is not None else 0)
        if found >= expected:
            self._note(seal, "acts that it covers were changed, added or taken away after it was made")
            return
        problem = f"{expected - found} of the {_counted(expected, 'act')} that it covers are gone"
        self._note(seal, problem + ("; the audit ends before what was sealed then" if self.acts.ended else ""))

    def _note_history(self, seal: Seal, before: Seal | None, found: int) -> None:
        after = before.history_to if before is not None else 0
        expected = seal.history_rows - (before.history_rows if before is not None else 0)
        if found < expected:
            problem = f"{expected - found} of the {_counted(expected, 'row')} of history that it covers are gone"
            if self.history.ended:
                problem += "; history ends before what was sealed then"
        elif found > expected:
            problem = f"{_counted(found - expected, 'row')} of history more than it covers are in their place"
        else:
            problem = "rows of history that it covers were changed after it was made"
        rows = store.subjects_between(self.connection, after, seal.history_to, _NAMED + 1)
        whose = [f"{self.keys.get(row.tenant, f'#{row.tenant}')} {row.subject}" for row in rows[:_NAMED]]
        if whose:
            more = " and others" if len(rows) > _NAMED else ""
            problem += f"; those that are there are of {', '.join(whose)}{more}"
        self._note(seal, problem)

    # --- the database's and the file's seals, one beside the other ------------------------------------------------

    def _all_seals(self) -> Iterator[Seal]:
        """Each seal once, wherever it is kept; notes where database and file differ."""
        kept = store.seals_after(self.connection)
        if not self.written.kept_here:
            seal = None
            for seal in kept:
                yield seal
            if seal is not None and self.written.place is not None:
                self.findings.not_run("I8", "the file of seals: there is none here")
            return
        place = self.written.place
        assert place is not None  # noqa: S101 - kept here
        # Read after the database's moment: what was being written down then is announced, or stands in the file by now.
        announced = place.announced()
        lacking = _Run(self, "in the database and not in the file", "`vipflow audit seal` writes them down again")
        extra = _Run(
            self,
            "in the file and not in the database",
            "after a restored backup go on with `vipflow audit restored REASON`",
        )
        theirs = self._of_file(place)
        others = 0
        ours, line = next(kept, None), next(theirs, None)
        while ours is not None or line is not None:
            if line is None or (ours is not None and ours.number < line[1].number):
                assert ours is not None  # noqa: S101 - one of the two is there
                if line is None and ours.made_by != sealfile.THIS_MACHINE:
                    others += 1  # it gets them at its next turn
                elif ours != announced:
                    lacking.add(ours)
                yield ours
                ours = next(kept, None)
            elif ours is None or line[1].number < ours.number:
                if line[0] < self.written.size:  # else it is younger than what we see of the database
                    extra.add(line[1])
                    yield line[1]
                line = next(theirs, None)
            else:
                yield self._same(ours, line[1])
                ours, line = next(kept, None), next(theirs, None)
        lacking.end()
        extra.end()
        if others:
            why = "other machines made them, and they are not written down here yet"
            self.findings.not_run("I8", f"the last {_counted(others, 'seal')} against the file of seals: {why}")

    def _same(self, ours: Seal, theirs: Seal) -> Seal:
        if ours == theirs:
            return ours
        self._note(theirs, "the database and the file say different things of it")
        return ours if self.key is not None and ours.signed(self.key) == ours.mac else theirs

    def _of_file(self, place: SealPlace) -> Iterator[tuple[int, Seal]]:
        last = 0
        try:
            for number, (at, seal) in enumerate(place.lines(), 1):
                record = f"line {number} of {place.file.name}"
                if seal is None:
                    if at < self.written.size:
                        self.findings.add("I8", None, None, record, "it is no seal as they are written")
                elif seal.number <= last:
                    self.findings.add("I8", None, None, record, f"seal {seal.number} stands behind seal {last}")
                else:
                    last = seal.number
                    yield at, seal
        except SealFault as fault:
            self.findings.not_run("I8", str(fault))


class _Run:
    """Seals that are in one place only: a finding for each run of them, not for each."""

    def __init__(self, check: _Check, problem: str, remedy: str) -> None:
        self.check, self.problem, self.remedy = check, problem, remedy
        self.first: Seal | None = None
        self.last: Seal | None = None

    def add(self, seal: Seal) -> None:
        if self.last is not None and seal.number != self.last.number + 1:
            self.end()
        self.first = self.first or seal
        self.last = seal

    def end(self) -> None:
        if self.first is not None and self.last is not None:
            count = self.last.number - self.first.number + 1
            are = f"this and the next {count - 1}, {count} seals, are" if count > 1 else "it is"
            self.check._note(self.first, f"{are} {self.problem}", self.remedy)
        self.first = self.last = None


class _Upto:
    """Rows in order of position, taken piece by piece."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    @property
    def ended(self) -> bool:
        return self._next is None

    def take(self, position: int) -> Iterator[Any]:
        while self._next is not None and self._next[0] <= position:
            yield self._next
            self._next = next(self._rows, None)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
