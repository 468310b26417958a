"""Whole tables held against each other, whosever rows they are (I3 to I5, I9), and the database's own checks (I11)."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection

from vipflow.engine.verify.report import Findings
from vipflow.store import verify as store

VERDICTS = frozenset({"applied", "refused", "stale", "parked", "quarantined"})

_RECORDS = {
    "history": "history, cause",
    "timers": "timer",
    "names": "name",
    "messages": "message",
    "incidents": "incident",
    "inbox": "event",
    "cases": "case",
    "holds": "hold",
}


class Tables:
    """The checks that are no one customer's."""

    def __init__(self, connection: Connection, findings: Findings) -> None:
        self.connection = connection
        self.findings = findings
        self.tenants = store.tenant_keys(connection)

    def check_events(self) -> None:
        """Every event of the inbox has a verdict, and what the verdict says is so (I3)."""
        for row in store.events_with_history(self.connection):
            self.findings.count("I3")
            for problem in _problems_of_event(row):
                self.findings.add(
                    "I3", self._key(row.tenant), row.subject_ref, f"event {row.source}/{row.event_id}", problem
                )
        for row in store.causes_told_twice(self.connection):
            problem = f"{row.times} history rows have this cause"
            self.findings.add("I3", self._key(row.tenant), None, f"history, cause {row.cause}", problem)

    def check_names(self) -> None:
        """No two cases bear an exclusive name (I4)."""
        for row in store.names_held_twice(self.connection):
            problem = f"it is exclusive, and {row.bearers} cases bear it"
            self.findings.add("I4", self._key(row.tenant), None, f"name {row.collection}/{row.value}", problem)

    def check_bytes(self) -> None:
        """The bytes kept of a message are those that were first made (I5): every copy of it is the same."""
        for row in store.kept_bytes(self.connection):
            record = f"message {row.key}"
            if row.message_id is None:
                self.findings.add(
                    "I5", self._key(row.tenant), row.subject, record, "its bytes are kept, and its Message-ID is not"
                )
            if hashlib.sha256(bytes(row.body)).hexdigest() != row.content_hash:
                problem = "its bytes are not those of its content_hash"
                self.findings.add("I5", self._key(row.tenant), row.subject, record, problem)

    def check_digests(self) -> None:
        """A message of a digest went with the mail whose bytes it names (I5)."""
        for row in store.digests_without_bytes(self.connection):
            problem = f"it is part of the digest of {row.digest}, which has no such bytes"
            self.findings.add("I5", self._key(row.tenant), row.subject, f"message {row.key}", problem)

    def check_acts(self) -> None:
        """What was given up waits or leaves again only because somebody said so, and what is discarded too (I7)."""
        remedy = "look in the audit who was at it; `vipflow mail show` tells of the mail"
        for row in store.messages_that_came_back(self.connection):
            if not store.somebody_acted(self.connection, row.tenant, (row.key, row.incident), row.opened_at):
                what = row.kind.removeprefix("mail_")
                problem = f"it was {what}, and is {row.state} again, and nobody asked for it"
                self.findings.add("I7", self._key(row.tenant), row.subject, f"message {row.key}", problem, remedy)
        for row in store.discarded_by_nobody(self.connection):
            problem = "it is discarded, and nobody asked for it"
            self.findings.add("I7", self._key(row.tenant), row.subject, f"message {row.key}", problem, remedy)

    def check_walls(self) -> None:
        """No row names a customer or a case of another tenant, nor one that is not there (I9)."""
        self.findings.count("I9", store.count_pointers(self.connection))
        for table, tenant, rows in store.rows_of_strangers(self.connection):
            problem = f"{rows} of its rows are of tenant {tenant}, which does not exist"
            self.findings.add("I9", self._key(tenant), None, f"table {table}", problem)
        ids = sorted(self.tenants)
        for row in store.pointers_to_nobody(self.connection):
            whose = store.tenants_of_subject(self.connection, row.subject or "", ids)
            self._note_pointer(row, f"it points to {row.subject}, which {self._whose(whose, row.tenant)}")
        for row in store.pointers_to_no_case(self.connection):
            if row.case_is_of is not None:
                problem = f"it is of {row.subject}, and its case {row.case_ref} of {row.case_is_of}"
            else:
                whose = store.tenants_of_case(self.connection, row.case_ref or "", ids)
                problem = f"it points to the case {row.case_ref}, which {self._whose(whose, row.tenant)}"
            self._note_pointer(row, problem)

    def check_integrity(self) -> int:
        """What the database says of itself (I11); how many problems it has."""
        found = store.integrity_of(self.connection, self.findings.most)
        self.findings.count("I11", found.checks)
        for problem in found.problems:
            self.findings.add("I11", None, None, "the database", problem, "restore a backup")
        for why in found.not_run:
            self.findings.not_run("I11", why)
        return len(found.problems)

    def _note_pointer(self, row: store.Pointer, problem: str) -> None:
        self.findings.add("I9", self._key(row.tenant), row.subject, f"{_RECORDS[row.table]} {row.key}", problem)

    def _whose(self, tenants: list[int], own: int) -> str:
        others = [self._key(tenant) for tenant in tenants if tenant != own]
        return f"is of tenant {', '.join(others)}" if others else "does not exist"

    def _key(self, tenant: int) -> str:
        return self.tenants.get(tenant, f"#{tenant}")


def _problems_of_event(row: Any) -> list[str]:
    if row.verdict not in VERDICTS:
        return [f"its verdict {row.verdict!r} is none that an event can have"]
    if row.verdict != "applied":
        problems = []
        if row.history_sequence is not None:
            problems.append(
                f"its verdict is {row.verdict!r}, and it caused history {row.history_sequence} of {row.history_subject}"
            )
        if row.verdict in ("parked", "quarantined") and not row.has_body:
            problems.append(f"it is {row.verdict} and its body was not kept, so it can never be applied")
        if row.verdict == "parked" and row.waiting_for is None:
            problems.append("it is parked and does not say what it waits for")
        return problems
    if row.history_sequence is None:
        return ["its verdict is 'applied', and no history row has it as its cause"]
    says = (row.subject_ref, row.case_ref, row.sequence)
    is_ = (row.history_subject, row.history_case, row.history_sequence)
    if says != is_:
        said = f"history {row.sequence} of {row.subject_ref} (case {row.case_ref})"
        return [f"it says that it caused {said}, and it caused history {is_[2]} of {is_[0]} (case {is_[1]})"]
    return []
