"""`verify` proves the promises on the user's own data: it reads everything, changes nothing, and names what is wrong.

| Invariant | Looked at |
|---|---|
| I1 | the sequence of each customer's history |
| I2 | cases, and the customer's opening, against its history folded |
| I3 | inbox and history, one against the other |
| I4 | timers, messages and names against what history implies |
| I5 | what each message says of itself, and the bytes kept of it |
| I7 | messages, the incidents of those that were given up, and the audit |
| I6 | history rows that timers caused, and armed timers |
| I8 | the chain of each customer's history, the audit's, and the seals over both |
| I9 | every row that names a customer or a case |
| I10 | summary and tally of each customer |
| I11 | the database's own checks |
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.exc import DBAPIError

from vipflow.engine.sealfile import SealPlace
from vipflow.engine.verify.audit import AuditReport, verify_audit
from vipflow.engine.verify.customer import Ground
from vipflow.engine.verify.customers import Progress, check_customers
from vipflow.engine.verify.report import INVARIANTS, Checked, Finding, Findings, Report
from vipflow.engine.verify.seals import SealsAsWritten, check_acts, check_seals
from vipflow.engine.verify.tables import Tables
from vipflow.machine import Workflows
from vipflow.store.database import Database
from vipflow.store.holds import all_holds

__all__ = ["INVARIANTS", "AuditReport", "Checked", "Finding", "Progress", "Report", "verify", "verify_audit"]


def verify(
    database: Database,
    workflows: Workflows,
    trade: Any,
    *,
    now: datetime | None = None,
    idle_at: datetime | None = None,
    most: int = 20,
    progress: Progress | None = None,
    seals: SealPlace | None = None,
) -> Report:
    """What holds and what does not, of all tenants, at one moment: one transaction, which changes nothing.

    `now` lets it name messages that are stuck in sending. `idle_at`: all that was due had been done then, so a timer
    that was due and is still armed is named too. Of each invariant `most` findings are given in full. `progress` is
    told after each page of customers. `seals`: where the key and the file of seals are. Raises DatabaseUnusable where
    the database cannot be read at all.
    """
    findings = Findings(most)
    if seals is None:
        findings.not_run("I8", "seals against their key and their file: it was not said where these are")
    if now is None:
        findings.not_run("I5", "messages stuck in sending: no present instant was given")
    if idle_at is None:
        findings.not_run("I6", "timers due and unfired: no instant was given at which all was idle")
    ground = Ground(workflows, trade, findings, now, idle_at)
    written = SealsAsWritten(seals, findings)
    with database.read() as connection:
        ground.held = {(hold.tenant, hold.subject) for hold in all_holds(connection) if not hold.mail_only}
        tables = Tables(connection, findings)
        damaged = tables.check_integrity() > 0
        try:
            check_customers(connection, ground, progress)
            tables.check_events()
            tables.check_names()
            tables.check_bytes()
            tables.check_digests()
            tables.check_acts()
            tables.check_walls()
            check_acts(connection, findings)
            check_seals(connection, findings, written)
        except DBAPIError as fault:
            if not damaged:
                raise
            problem = f"it could not be read to the end, so not everything was checked: {fault.orig}"
            findings.add("I11", None, None, "the database", problem, "restore a backup")
    return findings.report()
