"""What somebody typed, made a case: our reference, the sender's, a VIP, PO or order number, or a customer's e-mail."""

from __future__ import annotations

from vipflow.engine.addresses import Found
from vipflow.engine.envelope import check_text
from vipflow.errors import BadInput, NotFound
from vipflow.misfits import short
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.references import as_typed
from vipflow.store import work
from vipflow.store.reading import customers_with_email

_LOOK = "`vipflow customer list --search TEXT` looks for customers"
_WHERE_TO_LOOK: dict[tuple[str, ...], str] = {
    ("authorizations",): "`vipflow authorization list --all` shows those there are",
    ("orders",): "`vipflow order list --all` shows those there are",
    ("returns",): "`vipflow return list --all` shows those there are",
}
LONGEST_REFERENCE = 64
"""Ours: a reference stands in lists and mails."""


def find(installation: Installation, who: Who, typed: str, *collections: str) -> Found:
    """The case of the asker's reseller that `typed` names, in one of the `collections` (in any, where none is said).

    Raises NotFound, and BadInput where it names several.
    """
    typed = typed.strip()
    machines = {machine.name: machine for machine in installation.workflows}
    with installation.database.read() as connection:
        values = list(dict.fromkeys([typed, as_typed(typed)]))
        found = [Found(row.ref, row.subject, row.workflow) for row in work.referenced(connection, who.tenant, values)]
        if not found:
            found = _named(installation, work.named(connection, who.tenant, values))
        if not found and "@" in typed:
            root = installation.workflows.root.name
            found = [Found(row.ref, row.ref, root) for row in customers_with_email(connection, who.tenant, typed)]
    if collections:
        found = [each for each in found if machines[each.workflow].collection in collections]
    if len(found) > 1:
        several = ", ".join(
            f"{each.ref} ({machines[each.workflow].title.en})" for each in sorted(found, key=lambda f: f.ref)
        )
        raise BadInput(typed, f"it names several: {several}", "use one of these references")
    if not found:
        raise NotFound(_what(installation, collections), typed, _WHERE_TO_LOOK.get(collections[:1], _LOOK))
    return found[0]


def own_reference(reference: str) -> str:
    """A reference of the reseller's own, as it can stand in the path of an event. Raises BadInput."""
    if "/" in reference:
        raise BadInput(f"the reference {short(reference)}", "it holds a slash", "write it without")
    if len(reference) > LONGEST_REFERENCE:
        problem = f"it has {len(reference):,} characters"
        raise BadInput(f"the reference {short(reference)}", problem, f"write at most {LONGEST_REFERENCE}")
    check_text(reference, f"the reference {short(reference)}")
    return reference


def find_customer(installation: Installation, who: Who, typed: str) -> str:
    """The reference of the customer that `typed` names; as `find`."""
    return find(installation, who, typed, installation.workflows.root.collection).ref


def _named(installation: Installation, rows: work.Rows) -> list[Found]:
    found: dict[str, Found] = {}
    for row in rows:
        machine = installation.workflows.by_collection(row.collection)
        if machine is not None:
            found[row.case_ref] = Found(row.case_ref, row.subject, machine.name)
    return list(found.values())


def _what(installation: Installation, collections: tuple[str, ...]) -> str:
    """How to call what was looked for: the title of its workflow."""
    if len(collections) == 1:
        machine = installation.workflows.by_collection(collections[0])
        if machine is not None:
            return machine.title.en.lower()
    return "record"
