"""The reseller's staff: who works here, in which role. Rows of configuration, no cases: nobody is ever deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

import msgspec

from vipflow.engine.envelope import check_text
from vipflow.errors import BadInput, Conflict, NotFound, did_you_mean
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.audit import remember_change
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store import reading
from vipflow.store.reading import Wanted
from vipflow.store.tenants import MemberRow, add_team_member, change_team_member, team_member, team_members
from vipflow.vip.customers import MailPreference, Role
from vipflow.vip.fields import Language, problems_of_email, problems_of_text
from vipflow.workflow import Reason

LONGEST_NAME = 80
LONGEST_PHONE = 40


class Member(msgspec.Struct, frozen=True):
    """Somebody of the team. One who left is there with `active` false, and stays the author of what was done."""

    email: str
    name: str
    role: str
    language: str | None
    phone: str | None
    active: bool
    joined_at: datetime
    mails: str
    """`single`, or `daily`: one mail of all that is to be told of a day."""
    customers: int | None = None
    """How many customers it manages; None where nobody counted."""


class Changed(msgspec.Struct, frozen=True):
    """What changed in a row of configuration, for whoever audits it; or why it may not."""

    what: str
    before: dict[str, Any]
    after: dict[str, Any]
    by: str
    refused: Reason | None = None


def list_team(installation: Installation, who: Who, *, everybody: bool = False) -> tuple[Member, ...]:
    """The active members in order of address (`everybody`: those who left too), with how many customers they manage."""
    with installation.database.read() as connection:
        rows = [row for row in team_members(connection, who.tenant) if row.active or everybody]
        counts = {row.email: reading.count_customers(connection, who.tenant, Wanted(owner=row.email)) for row in rows}
    return tuple(_member(row, counts[row.email]["all"]) for row in rows)


def add_member(
    installation: Installation,
    who: Who,
    *,
    email: str,
    name: str,
    role: str = "account_manager",
    language: str | None = None,
    phone: str | None = None,
    mails: str = "single",
) -> Changed:
    """Adds a member, or takes back one who had left. Raises BadInput, and Conflict for one who is there."""
    refused = not_allowed_to(who, "administer")
    email = email.strip().lower()
    _check(email, name, role, language, phone)
    _known(mails, get_args(MailPreference), "the preference of mails")
    if refused is not None:
        return Changed(f"team/{email}", {}, {}, who.as_actor.name, refused)
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        row = MemberRow(who.tenant, email, name.strip(), role, language, phone, True, now, mails)
        known = team_member(connection, who.tenant, email)
        if known is not None and known.active:
            raise Conflict("the member", email, "it is there already", "change the role with `vipflow team role`")
        if known is None:
            add_team_member(connection, row)
        else:
            change_team_member(connection, row)
        before = {} if known is None else _told(known)
        remember_change(connection, who.tenant, who.as_actor.name, "team.add", f"team/{email}", before, _told(row), now)
    return Changed(f"team/{email}", before, _told(row), who.as_actor.name)


def set_role(installation: Installation, who: Who, email: str, role: str) -> Changed:
    """Gives a member another role. Raises NotFound; BadInput where no admin would be left."""
    return _change(installation, who, email, role=_known(role, get_args(Role), "the role"))


def change_member(
    installation: Installation,
    who: Who,
    email: str,
    *,
    name: str | None = None,
    language: str | None = None,
    phone: str | None = None,
    mails: str | None = None,
) -> Changed:
    """Changes what mails say of a member, in which language and how often they are written to it.

    What waits already leaves when it was to leave, as the member prefers then.
    """
    _check(email, name or "-", "viewer", language, phone)
    if mails is not None:
        _known(mails, get_args(MailPreference), "the preference of mails")
    given = {"name": name.strip() if name else None, "language": language, "phone": phone, "mails": mails}
    return _change(installation, who, email, **{key: value for key, value in given.items() if value is not None})


def deactivate_member(installation: Installation, who: Who, email: str) -> Changed:
    """Takes a member out of the team. Its customers stay its own until assigned; an admin answers for them."""
    return _change(installation, who, email, active=False)


def _change(installation: Installation, who: Who, email: str, **values: Any) -> Changed:
    refused = not_allowed_to(who, "administer")
    if refused is not None:
        return Changed(f"team/{email}", {}, {}, who.as_actor.name, refused)
    with installation.database.write() as connection:
        members = team_members(connection, who.tenant)
        known = next((each for each in members if each.email.lower() == email.strip().lower()), None)
        if known is None:
            near = did_you_mean(email, [each.email for each in members])
            raise NotFound("member of the team with the address", email, f"see `vipflow team list`{near}")
        row = known._replace(**values)
        left = [row if each.email == row.email else each for each in members]
        if _has_admin(members) and not _has_admin(left):
            raise BadInput(f"the member {known.email}", "it is the last active admin", "make somebody else admin first")
        change_team_member(connection, row)
        what, now = f"team/{known.email}", installation.engine.now(connection)
        remember_change(connection, who.tenant, who.as_actor.name, "team.set", what, _told(known), _told(row), now)
    return Changed(f"team/{known.email}", _told(known), _told(row), who.as_actor.name)


def _has_admin(members: list[MemberRow]) -> bool:
    return any(each.active and each.role == "admin" for each in members)


def _check(email: str, name: str, role: str, language: str | None, phone: str | None) -> None:
    """Raises BadInput with everything that is wrong."""
    problems = [*problems_of_email("email", email), *problems_of_text("name", name), *problems_of_text("phone", phone)]
    if len(name) > LONGEST_NAME:
        problems.append(f"name: at most {LONGEST_NAME} characters")
    if phone is not None and len(phone) > LONGEST_PHONE:
        problems.append(f"phone: at most {LONGEST_PHONE} characters")
    if problems:
        raise BadInput("the member", "; ".join(problems), "put this right and try again")
    check_text(name, "the member", "name")
    _known(role, get_args(Role), "the role")
    if language is not None:
        _known(language, get_args(Language), "the language")


def _known(given: str, valid: tuple[str, ...], what: str) -> str:
    if given not in valid:
        raise BadInput(what, f"there is no {given!r}{did_you_mean(given, valid)}", f"choose {', '.join(valid)}")
    return given


def _told(row: MemberRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("email", "name", "role", "language", "phone", "active", "mails")}


def _member(row: MemberRow, customers: int | None) -> Member:
    return Member(
        row.email, row.name, row.role, row.language, row.phone, row.active, row.joined_at, row.mails, customers
    )
