"""The policies of an installation, and whose numbers are whose: each with where it comes from and who decided."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

import msgspec

from vipflow.clock import HostClock
from vipflow.days import local_day
from vipflow.errors import BadInput, NotFound, did_you_mean
from vipflow.operations.customers import facts_of_customer, override_policy
from vipflow.operations.done import Done
from vipflow.operations.installation import Files, Installation
from vipflow.operations.references import find_customer
from vipflow.operations.resellers import change_reseller
from vipflow.operations.team import Changed
from vipflow.operations.who import Who
from vipflow.policy import NULL
from vipflow.store.tenants import tenant_by_key
from vipflow.vip.number_words import numbers_in_words, sources_of
from vipflow.vip.trade import VipTrade

Source = Literal["adobe", "seed", "ours", "your file", "yours", "none"]
Layer = Literal["version", "reseller", "customer", "left out"]


class PolicyEntry(msgspec.Struct, frozen=True):
    """A policy in a list: its versions by the day on which each begins."""

    name: str
    description: str
    versions: tuple[date, ...]
    numbers_of_latest: str
    """The content id of its latest version."""


class NumberTold(msgspec.Struct, frozen=True):
    """A number: its value, where that comes from, which layer decided it (`by`: whose), and what it says.

    `source`: published by Adobe, of the seed, our own choice; of a file of yours without a tag; an override of yours.
    """

    name: str
    value: Any
    source: Source
    layer: Layer
    by: str
    says: str


class PolicyTold(msgspec.Struct, frozen=True):
    """The numbers that count on a day: of a policy alone, of a reseller, or of one of its customers."""

    policy: str
    id: str
    on: date
    version: date
    """Since when this version of the file holds."""
    reseller: str | None
    customer: str | None
    numbers: tuple[NumberTold, ...]


# --- looking -------------------------------------------------------------------------------------------------------


def list_policies(files: Files) -> list[PolicyEntry]:
    """All policies, in the order of their files. Raises BadInput where the trade has none."""
    trade_of(files)
    book = files.policy_book
    return [
        PolicyEntry(
            name,
            book.description(name),
            tuple(version.valid_from for version in book.versions(name)),
            book.versions(name)[-1].id,
        )
        for name in book.names
    ]


def show_policy(files: Files, name: str, on: date | None = None) -> PolicyTold:
    """A policy as its file has it on a day (today). Raises NotFound."""
    trade_of(files)
    known_policy(files, name)
    today = (files.settings.clock.stands_at or HostClock().now()).date()
    return _told(files, name, on if on is not None else today, None, None)


def show_in_force(
    installation: Installation, who: Who, *, on: date | None = None, customer: str | None = None
) -> PolicyTold:
    """What would be pinned by whatever began on that day (today): with the reseller's own numbers, and the customer's.

    Raises NotFound, and PolicyError where these cannot hold together.
    """
    trade_of(installation)
    policy, overrides = own_numbers(installation, who)
    ref = find_customer(installation, who, customer) if customer is not None else None
    mine = dict(facts_of_customer(installation, who, ref).overrides) if ref is not None else None
    day = on if on is not None else local_day(installation.clock.now(), who.zone)
    return _told(installation, policy, day, (who.key, overrides), None if ref is None else (ref, mine or {}))


def own_numbers(installation: Installation, who: Who) -> tuple[str, Mapping[str, Any]]:
    """The policy that the asker's reseller follows, and the numbers that are its own."""
    with installation.database.read() as connection:
        row = tenant_by_key(connection, who.key)
    if row is None:
        raise NotFound("reseller", who.key, "`vipflow reseller list` shows who is there")
    return row.policy, msgspec.json.decode(row.settings).get("overrides", {})


def trade_of(files: Files) -> VipTrade:
    """The trade, where it has policies. Raises BadInput for one that has none."""
    if isinstance(files.trade, VipTrade):
        return files.trade
    raise BadInput("policies", "these workflows count with none", 'say `trade = "vip"` in the customers\' workflow')


def known_policy(files: Files, name: str) -> None:
    """Raises NotFound for a policy that is not there."""
    names = files.policy_book.names
    if name not in names:
        raise NotFound("policy", name, f"there are {', '.join(names)}{did_you_mean(name, names)}")


def _told(
    files: Files,
    name: str,
    on: date,
    reseller: tuple[str, Mapping[str, Any]] | None,
    customer: tuple[str, Mapping[str, Any]] | None,
) -> PolicyTold:
    book = files.policy_book
    layers = [layer for layer in (reseller, customer) if layer is not None]
    pinned = book.in_force(name, on, *(numbers for _, numbers in layers))
    shipped = book.in_force(name, on)
    sources = sources_of(name, files.settings.folders.policies)
    words = numbers_in_words()
    told = []
    for number in words:
        value = getattr(pinned, number, None)
        layer, by, source = "version", f"{name} from {shipped.valid_from}", sources.get(number, "your file")
        if value is None:
            layer, by, source = "left out", f"{name} from {shipped.valid_from}", "none"
        for kind, given in (("reseller", reseller), ("customer", customer)):
            if given is not None and number in given[1]:
                layer, by, source = kind, given[0], "yours"
        told.append(
            msgspec.convert(
                {
                    "name": number,
                    "value": _plain(value),
                    "source": source,
                    "layer": layer,
                    "by": by,
                    "says": words[number],
                },
                NumberTold,
            )
        )
    return PolicyTold(
        name,
        pinned.id,
        on,
        shipped.valid_from,
        None if reseller is None else reseller[0],
        None if customer is None else customer[0],
        tuple(told),
    )


def _plain(value: Any) -> Any:
    """A frozen number as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


# --- setting -------------------------------------------------------------------------------------------------------


def numbers_given(given: Sequence[str], what: str) -> dict[str, Any]:
    """`order_due_days=21`, `renews_by_itself=true`, `invitation_reminder_days=[7,21]`: values as JSON writes them, a
    text as it is, `none` for no such number. Raises BadInput.
    """
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = (part.strip() for part in each.partition("="))
        if not equals or not name or not value:
            raise BadInput(what, f"{each!r} is no number of a policy", "write NAME=VALUE, e.g. order_due_days=21")
        if name in found:
            raise BadInput(what, f"{name} is given twice", "give it once")
        try:
            found[name] = json.loads(value, parse_constant=str)
        except ValueError:
            found[name] = value
        except RecursionError:
            raise BadInput(what, f"{name} is nested too deep", "write NAME=VALUE") from None
        if found[name] is None:
            found[name] = NULL
    return found


def set_for_reseller(
    installation: Installation, who: Who, numbers: Mapping[str, Any], drop: Sequence[str] = ()
) -> Changed:
    """Gives the asker's reseller numbers of its own, or takes some back. They hold for what begins from now on.

    Checked as a whole: raises PolicyError with everything that cannot hold together, BadInput for a number to take
    back that is none of its own.
    """
    return change_reseller(installation, who, overrides=numbers, drop=drop)


def set_for_customer(
    installation: Installation, who: Who, customer: str, numbers: Mapping[str, Any], drop: Sequence[str] = ()
) -> Done:
    """The same for one customer, as the event `customer.override_policy`; a refusal is an answer."""
    ref = find_customer(installation, who, customer)
    own = {**facts_of_customer(installation, who, ref).overrides, **numbers}
    for number in drop:
        if number not in own:
            near = did_you_mean(number, own)
            has = ", ".join(own) or "none"
            raise BadInput("the numbers", f"{number} is none of the customer's own{near}", f"its own: {has}")
        del own[number]
    policy, overrides = own_numbers(installation, who)
    day = local_day(installation.clock.now(), who.zone)
    # Asked before: what cannot hold is told with the names that were meant.
    installation.policy_book.in_force(policy, day, overrides, own)
    return override_policy(installation, who, ref, own)
