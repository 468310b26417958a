"""`verify_audit` looks for one thing only: whether history, audit or seals were changed past vipflow (I8)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from vipflow.engine.sealfile import SealPlace
from vipflow.engine.verify.chains import check_chain
from vipflow.engine.verify.customers import PAGE, Progress
from vipflow.engine.verify.report import Finding, Findings
from vipflow.engine.verify.seals import Sealed, SealsAsWritten, check_acts, check_seals
from vipflow.store import verify as store
from vipflow.store.database import Database


class AuditReport(msgspec.Struct, frozen=True):
    """The answer. `found` counts all, `findings` gives the first in full; `not_checked` says what could not be.

    The last `unsealed` rows, the first of which is of `unsealed_since`, have no seal yet: somebody who may write the
    database could change them and mend their chain.
    """

    ok: bool
    history: int
    acts: int
    seals: int
    sealed_until: datetime | None
    unsealed: int
    unsealed_since: datetime | None
    not_checked: tuple[str, ...]
    found: int
    findings: tuple[Finding, ...]


def verify_audit(
    database: Database, place: SealPlace | None, *, most: int = 20, progress: Progress | None = None
) -> AuditReport:
    """Reads history, audit and seals whole, at one moment, and changes nothing.

    `most` findings are given in full. `progress` is told after each page of customers. Raises DatabaseUnusable where
    the database cannot be read at all.
    """
    findings = Findings(most)
    written = SealsAsWritten(place, findings)
    acts, sealed = 0, Sealed()
    with database.read() as connection:
        try:
            _check_chains(connection, findings, progress)
            acts = check_acts(connection, findings)
            sealed = check_seals(connection, findings, written)
        except (DBAPIError, TypeError, ValueError) as fault:  # what is stored is not even of its type
            told = fault.orig if isinstance(fault, DBAPIError) else fault
            problem = f"it could not be read to the end, so not everything was checked: {told}"
            findings.add("I8", None, None, "the database", problem, "`vipflow verify` says more; restore a backup")
    report = findings.report()
    checked = next(each for each in report.invariants if each.invariant == "I8")
    return AuditReport(
        ok=checked.found == 0,
        history=findings.history,
        acts=acts,
        seals=sealed.seals,
        sealed_until=sealed.last_at,
        unsealed=sealed.unsealed,
        unsealed_since=sealed.unsealed_since,
        not_checked=checked.not_run,
        found=checked.found,
        findings=report.found("I8"),
    )


def _check_chains(connection: Connection, findings: Findings, progress: Progress | None) -> None:
    total = store.count_subjects(connection)
    keys = store.tenant_keys(connection)
    for number, key in keys.items():
        after = ""
        while rows := store.subjects_after(connection, number, after, PAGE):
            history: defaultdict[str, list[Any]] = defaultdict(list)
            for row in store.chains_of(connection, number, after, rows[-1].ref):
                history[row.subject].append(row)
            for customer in rows:
                findings.subjects += 1
                findings.history += len(history[customer.ref])
                note = partial(_note, findings, key, customer.ref)
                check_chain(customer.ref, customer.head, history[customer.ref], note)
            after = rows[-1].ref
            if progress is not None:
                progress(findings.subjects, total)
    findings.count("I8", findings.history)
    if findings.history != store.count_history(connection):
        for row in store.history_of_nobody(connection):
            problem = f"{row.rows} rows of history are of this customer, which is not there"
            findings.add("I8", keys.get(row.tenant, f"#{row.tenant}"), row.subject, "history", problem)


def _note(findings: Findings, tenant: str, subject: str, invariant: str, record: str, problem: str) -> None:
    findings.add(invariant, tenant, subject, record, problem)
