"""What somebody stopped on purpose: the condition that every queue asks, so that nothing held is taken from it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, or_

from vipflow.store.tables import holds


def not_held(tenant: ColumnElement[int], subject: ColumnElement[str], *, mail: bool) -> ColumnElement[bool]:
    """True of a row that no hold in force stops: one of everything, of its tenant, or of its subject.

    `mail`: of a mail, which those holds stop too that let the clock and events go on. A hold is in force until it is
    released, also past its end: a tick releases it then.
    """
    of_it = [
        holds.c.released_at.is_(None),
        or_(holds.c.tenant.is_(None), holds.c.tenant == tenant),
        or_(holds.c.subject.is_(None), holds.c.subject == subject),
    ]
    if not mail:
        of_it.append(holds.c.mail_only.is_(False))
    return ~exists().where(*of_it)
