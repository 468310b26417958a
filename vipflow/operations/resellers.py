"""Resellers: the companies whose staff and systems use this installation, each with its policy, language and zone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from vipflow.days import local_day
from vipflow.engine.envelope import check_text
from vipflow.errors import BadInput, Conflict, NotFound, did_you_mean, listed
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.audit import remember_change
from vipflow.operations.installation import Installation
from vipflow.operations.team import Changed
from vipflow.operations.who import OPERATOR, Who
from vipflow.store import reading
from vipflow.store.reading import Wanted
from vipflow.store.tenants import TenantRow, add_tenant, all_tenants, change_tenant, team_members, tenant_by_key
from vipflow.vip.fields import Language, problems_of_email, problems_of_text
from vipflow.vip.numbers import DEFAULT_POLICY

DEFAULT_ZONE = "Europe/Paris"
DEFAULT_LANGUAGE = "fr"
SETTINGS = ("sender", "phone", "signature", "invitation_link", "logo", "colour")
"""What mails say of a reseller, and where they come from."""
_WEB = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::\d+)?(?:[/?#][!#-&(-;=?-~]*)?"
)  # printable ASCII, without < > and quotes
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_KEY = re.compile(r"^[a-z0-9][a-z0-9-]{0,38}$")


class Reseller(msgspec.Struct, frozen=True):
    """A reseller. `overrides`: the numbers of the policy that are its own; `customers` and `team`: how many."""

    key: str
    name: str
    language: str
    zone: str
    policy: str
    overrides: dict[str, Any]
    sender: str
    phone: str | None
    signature: str
    invitation_link: str | None
    logo: str | None
    colour: str | None
    created_at: datetime
    customers: int
    team: int


def list_resellers(installation: Installation) -> tuple[Reseller, ...]:
    """All resellers, oldest first."""
    with installation.database.read() as connection:
        return tuple(_reseller(connection, row) for row in all_tenants(connection))


def show_reseller(installation: Installation, key: str) -> Reseller:
    """The reseller with this key. Raises NotFound."""
    with installation.database.read() as connection:
        return _reseller(connection, _row(connection, key))


def add_reseller(
    installation: Installation,
    *,
    key: str,
    name: str,
    policy: str = DEFAULT_POLICY,
    language: str = DEFAULT_LANGUAGE,
    zone: str = DEFAULT_ZONE,
    settings: Mapping[str, str | None] | None = None,
    overrides: Mapping[str, Any] | None = None,
    by: str = OPERATOR,
) -> Changed:
    """Adds a reseller. Raises BadInput or PolicyError with what is wrong, Conflict where the key is taken."""
    if not _KEY.match(key):
        raise BadInput("the key", f"{key!r} is none", "write small letters, digits and hyphens, for example north")
    now = installation.clock.now()
    kept = _settings({}, settings or {}, overrides or {})
    _check(installation, name, policy, language, zone, kept, now)
    with installation.database.write() as connection:
        if tenant_by_key(connection, key) is not None:
            raise Conflict("the reseller", key, "it is there already", "change it with `vipflow reseller set`")
        now = installation.engine.now(connection)
        text = msgspec.json.encode(kept, order="sorted").decode()
        row = add_tenant(
            connection,
            key=key,
            name=name.strip(),
            language=language,
            zone=zone,
            policy=policy,
            settings=text,
            created_at=now,
        )
        remember_change(connection, row.id, by, "reseller.add", f"reseller/{key}", {}, _told(row), now)
    return Changed(f"reseller/{key}", {}, _told(row), by)


def change_reseller(
    installation: Installation,
    who: Who,
    *,
    name: str | None = None,
    policy: str | None = None,
    language: str | None = None,
    zone: str | None = None,
    settings: Mapping[str, str | None] | None = None,
    overrides: Mapping[str, Any] | None = None,
    drop: Sequence[str] = (),
) -> Changed:
    """Changes the asker's reseller. `overrides` are laid over those it has, `drop` names those to give up.

    A changed number holds for what begins from now on: cases keep the policy that they have pinned. Raises BadInput
    or PolicyError.
    """
    refused = not_allowed_to(who, "administer")
    if refused is not None:
        return Changed(f"reseller/{who.key}", {}, {}, who.as_actor.name, refused)
    with installation.database.write() as connection:
        now = installation.engine.now(connection)
        row = _row(connection, who.key)
        stored = msgspec.json.decode(row.settings)
        own = {**stored.get("overrides", {}), **(overrides or {})}
        for number in drop:
            if number not in own:
                near = did_you_mean(number, own)
                raise BadInput(
                    "the numbers", f"{number} is none of its own{near}", f"its own: {', '.join(own) or 'none'}"
                )
            del own[number]
        kept = _settings(stored, settings or {}, own)
        changed = row._replace(
            name=(name if name is not None else row.name).strip(),
            policy=policy if policy is not None else row.policy,
            language=language if language is not None else row.language,
            zone=zone if zone is not None else row.zone,
            settings=msgspec.json.encode(kept, order="sorted").decode(),
        )
        _check(installation, changed.name, changed.policy, changed.language, changed.zone, kept, now)
        change_tenant(connection, changed)
        what, by = f"reseller/{who.key}", who.as_actor.name
        remember_change(connection, who.tenant, by, "reseller.set", what, _told(row), _told(changed), now)
    return Changed(f"reseller/{who.key}", _told(row), _told(changed), who.as_actor.name)


def _settings(
    stored: Mapping[str, Any], settings: Mapping[str, str | None], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    kept = {**stored, **{key: value for key, value in settings.items() if value is not None}}
    kept["overrides"] = dict(overrides)
    return kept


def _check(
    installation: Installation,
    name: str,
    policy: str,
    language: str,
    zone: str,
    settings: Mapping[str, Any],
    now: datetime,
) -> None:
    """Raises BadInput with everything that is wrong, PolicyError for a policy or numbers that cannot hold."""
    problems = [*problems_of_text("name", name)]
    if len(name) > 80:
        problems.append("name: at most 80 characters")
    if language not in get_args(Language):
        problems.append(f"language: {language!r} is none of {', '.join(get_args(Language))}")
    if not _is_zone(zone):
        problems.append(f"zone: there is no time zone {zone!r}{did_you_mean(zone, available_timezones())}")
    if settings.get("sender"):
        problems += problems_of_email("sender", settings["sender"])
    problems += problems_of_text("phone", settings.get("phone"))
    problems += _problems_of_brand(settings)
    if problems:
        raise BadInput("the reseller", listed(problems), "put this right and try again")
    check_text(dict(settings), "the reseller")
    on = local_day(now, ZoneInfo(zone))
    installation.policy_book.in_force(policy, on, settings.get("overrides", {}))


def _problems_of_brand(settings: Mapping[str, Any]) -> Iterator[str]:
    """What would keep mails from showing their logo, colour and link. An empty text takes a setting back."""
    logo, colour, link = (settings.get(name) for name in ("logo", "colour", "invitation_link"))
    if logo and not _WEB.fullmatch(logo):
        yield "logo: write its address on the web, such as https://www.example.com/logo.png"
    elif logo and not logo.startswith("https://"):
        yield "logo: its address begins with https://, since mail programs load no picture in the clear"
    if colour and not _COLOUR.fullmatch(colour):
        yield f"colour: {colour!r} is none; write # and six digits, such as #2f5d8a"
    if link and not _WEB.fullmatch(link):
        yield "invitation_link: write an address on the web, such as https://www.example.com/join"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _row(connection: Any, key: str) -> TenantRow:
    row = tenant_by_key(connection, key)
    if row is None:
        keys = [each.key for each in all_tenants(connection)]
        raise NotFound("reseller", key, f"there are {', '.join(keys) or 'none'}{did_you_mean(key, keys)}")
    return row


def _told(row: TenantRow) -> dict[str, Any]:
    settings = msgspec.json.decode(row.settings)
    told = {name: getattr(row, name) for name in ("key", "name", "language", "zone", "policy")}
    return {**told, **{name: settings.get(name) for name in (*SETTINGS, "overrides")}}


def _reseller(connection: Any, row: TenantRow) -> Reseller:
    settings = msgspec.json.decode(row.settings)
    customers = reading.count_customers(connection, row.id, Wanted())["all"]
    members = sum(member.active for member in team_members(connection, row.id))
    return Reseller(
        row.key,
        row.name,
        row.language,
        row.zone,
        row.policy,
        settings.get("overrides", {}),
        settings.get("sender", ""),
        settings.get("phone"),
        settings.get("signature", ""),
        settings.get("invitation_link"),
        settings.get("logo") or None,
        settings.get("colour") or None,
        row.created_at,
        customers,
        members,
    )
