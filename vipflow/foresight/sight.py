"""A subject as it stands now, read without locks, to be thought about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from vipflow.case import Case, NotLoaded, View
from vipflow.engine import Engine
from vipflow.engine.addresses import Found
from vipflow.engine.batch import Batch, Work
from vipflow.errors import BadInput, NotFound
from vipflow.references import as_typed


class Sight:
    """One subject and its view. Settled cases are read when a thought needs them."""

    def __init__(self, batch: Batch, work: Work) -> None:
        self.batch = batch
        self.work = work

    @property
    def view(self) -> View:
        """The subject now; forecast and explain start from here."""
        return self.work.view

    def ask(self, view: View, thought: Any) -> Any:
        """`thought(view)`, with the settled cases it asks for."""
        while True:
            try:
                return thought(view)
            except NotLoaded as wanted:
                if wanted.ref not in self.work.seen:
                    self.batch.load_cases({wanted.ref})
                known = self.work.seen.get(wanted.ref)
                if known is None:
                    view = replace(view, absent=view.absent | {wanted.ref})
                elif wanted.ref in view.cases:
                    raise
                else:
                    view = replace(view, cases={**view.cases, wanted.ref: known})

    def case(self, ref: str) -> Case:
        """A case of the subject, settled or not."""
        if ref not in self.work.seen:
            self.batch.load_cases({ref})
        return self.work.seen[ref]


@contextmanager
def sight(engine: Engine, tenant: int, ref: str) -> Iterator[tuple[Sight, Found]]:
    """The subject of the case that `ref` names (our reference, a VIP number, an e-mail …) and that case.

    Raises NotFound for a name nobody bears, BadInput for one that several bear.
    """
    with engine.database.read() as connection:
        now = engine.read_now(connection)
        batch = engine.batch(connection, tenant, now)
        found = find(batch, ref)
        batch.look_at([found.subject])
        work = batch.works.get(found.subject)
        if work is None:
            raise NotFound("record", ref)
        yield Sight(batch, work), found


def find(batch: Batch, ref: str) -> Found:
    """The case that a name leads to, whatever its workflow. Raises NotFound or BadInput."""
    value = ref.strip()
    names = {value, as_typed(value), value.lower()}
    batch.look_up(names)
    found: dict[str, Found] = {}
    for (_, known), cases in batch.directory.entries.items():
        if known in names:
            found.update(cases)
    direct = found.get(as_typed(value))
    if direct is not None:
        return direct
    if not found:
        raise NotFound("record", ref)
    if len(found) > 1:
        several = ", ".join(sorted(found))
        raise BadInput(f"the name {ref!r}", f"it fits several records: {several}", "give the reference of one of them")
    return next(iter(found.values()))
