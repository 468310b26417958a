"""The names by which cases are called: those that history gave, held against those that are stored (I4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection

from vipflow.engine.verify.fold import Given, fold
from vipflow.engine.verify.report import Findings
from vipflow.machine import Workflows
from vipflow.store import verify as store


class Names:
    """The names of all tenants, checked by the page of customers that bear them."""

    def __init__(self, connection: Connection, workflows: Workflows, findings: Findings) -> None:
        self.connection = connection
        self.workflows = workflows
        self.findings = findings

    def check(self, number: int, key: str, implied: Mapping[tuple[str, str, str], tuple[str, Given]]) -> int:
        """Names by collection, value and case, each with its customer and how it was given: how many are stored."""
        self.findings.count("I4", len(implied))
        if not implied:
            return 0
        stored = {
            (row.collection, row.value, row.case_ref): row
            for row in store.names_among(self.connection, number, sorted({value for _, value, _ in implied}))
        }
        bearers = Counter((collection, value) for collection, value, _ in stored)
        matched = 0
        for name, (subject, how) in implied.items():
            collection, value, case = name
            record = f"name {collection}/{value}"
            row = stored.get(name)
            if row is None:
                self.findings.add("I4", key, subject, record, f"history gave it to {case}, and it is not stored")
                continue
            matched += 1
            if row.subject != subject:
                self.findings.add("I4", key, subject, record, f"it leads to {row.subject}, and {case} is of {subject}")
            if row.kind not in how.kinds:
                problem = f"it is stored as {row.kind}, and history gave it as {' or '.join(sorted(how.kinds))}"
                self.findings.add("I4", key, subject, record, problem)
            if row.exclusive and not how.exclusive:
                problem = "it is stored as exclusive, and its workflow lets several cases bear it"
                self.findings.add("I4", key, subject, record, problem)
            elif how.exclusive and not row.exclusive and bearers[collection, value] == 1:
                problem = f"{case} alone bears it and it is not stored as exclusive"
                self.findings.add("I4", key, subject, record, problem)
        return matched

    def find_extra(self, number: int, key: str) -> None:
        """Names that no history gave. To be asked only when their count says that there are some: each stored name
        costs a look at the history of its case.
        """
        for row in store.all_names(self.connection, number):
            history = store.rows_of_case(self.connection, number, row.case_ref)
            if (row.collection, row.value, row.case_ref) not in fold(history, self.workflows, _said_elsewhere).names:
                problem = f"it names {row.case_ref}, and history never gave it that name"
                self.findings.add("I4", key, row.subject, f"name {row.collection}/{row.value}", problem)


def _said_elsewhere(_invariant: str, _record: str, _problem: str) -> None:
    """What is wrong with a history is said with its customer."""
