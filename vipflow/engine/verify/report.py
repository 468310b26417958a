"""What `verify` answers: of each invariant how much was looked at and how much is wrong, the first findings in full."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

INVARIANTS: Mapping[str, str] = {
    "I1": "the history of each customer is numbered 1 to n without a gap",
    "I2": "the outcomes in history, folded, give the stored cases",
    "I3": "every event received has one verdict, and was applied at most once",
    "I4": "timers, messages and names are exactly those that history implies",
    "I5": "every message is in a known state, with all that its state says about it",
    "I6": "no timer fired early, none is armed in a state that was left",
    "I7": "a message that was sent or given up does not go back unless somebody asked for it",
    "I8": "no row of history, audit or seals was changed, added or taken away",
    "I9": "no row points across tenants",
    "I10": "summaries equal what the cases say",
    "I11": "the database's own checks pass",
}
"""In the words of the report."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is not as promised: which record of whom, what is wrong, and, where it is known, what to do."""

    invariant: str
    tenant: str | None
    subject: str | None
    record: str
    problem: str
    remedy: str | None = None


class Checked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One invariant: how many records were looked at, how many findings there are in all, what could not be checked."""

    invariant: str
    says: str
    checked: int
    found: int
    not_run: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """The answer. `findings` holds at most so many of each invariant as were asked for; `found` counts all."""

    ok: bool
    subjects: int
    history: int
    invariants: tuple[Checked, ...]
    findings: tuple[Finding, ...]

    def to_json(self) -> str:
        """As one JSON object."""
        return msgspec.json.encode(self).decode()

    def found(self, invariant: str) -> tuple[Finding, ...]:
        """The findings of one invariant that are given in full."""
        return tuple(finding for finding in self.findings if finding.invariant == invariant)


class Findings:
    """The report while it is being made; its size does not grow with what is wrong."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.subjects = 0
        self.history = 0
        self._kept: dict[str, list[Finding]] = {invariant: [] for invariant in INVARIANTS}
        self._found = dict.fromkeys(INVARIANTS, 0)
        self._checked = dict.fromkeys(INVARIANTS, 0)
        self._not_run: dict[str, list[str]] = {}

    def add(
        self,
        invariant: str,
        tenant: str | None,
        subject: str | None,
        record: str,
        problem: str,
        remedy: str | None = None,
    ) -> None:
        self._found[invariant] += 1
        if len(self._kept[invariant]) < self.most:
            self._kept[invariant].append(Finding(invariant, tenant, subject, record, problem, remedy))

    def count(self, invariant: str, records: int = 1) -> None:
        """So many more records were looked at."""
        self._checked[invariant] += records

    def not_run(self, invariant: str, why: str) -> None:
        """Part of the check could not be made."""
        self._not_run.setdefault(invariant, []).append(why)

    def report(self) -> Report:
        checked = tuple(
            Checked(name, says, self._checked[name], self._found[name], tuple(self._not_run.get(name, ())))
            for name, says in INVARIANTS.items()
        )
        findings = tuple(finding for kept in self._kept.values() for finding in kept)
        return Report(not findings, self.subjects, self.history, checked, findings)
