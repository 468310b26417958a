"""The five lists, search, filters and pages."""

import pytest

from tests.operations.conftest import World
from vipflow.errors import BadInput
from vipflow.operations.customer_lists import list_customers


def names(world: World, who: str = "bob", **asked: object) -> list[str]:
    return [row.company for row in list_customers(world.installation, world.who(who), **asked).items]  # type: ignore[arg-type]  # why: options pass through


def counts(world: World, who: str = "bob", **asked: object) -> dict[str | None, int]:
    page = list_customers(world.installation, world.who(who), **asked)  # type: ignore[arg-type]  # why: options pass through
    return {each.name: each.count for each in page.counts}


def test_a_customer_stands_in_the_lists_that_its_cases_say(world: World) -> None:
    fresh, pending, late = world.invite("Fresh"), world.invite("Pending"), world.invite("Late")
    world.authorize(late)
    world.pass_days(15)
    world.authorize(pending)
    assert counts(world) == {None: 3, "no_products": 1, "pending": 1, "late": 1, "upcoming": 0, "ready": 0}
    for name, ref in (("no_products", fresh), ("pending", pending), ("late", late)):
        found = list_customers(world.installation, world.who(), list=name).items
        assert [row.ref for row in found] == [ref]


def test_names_are_sorted_and_found_without_accents_or_capitals(world: World) -> None:
    for name in ("Zèbre", "Élan Vert", "eclair", "ÉTÉ"):
        world.invite(name)
    assert names(world) == ["eclair", "Élan Vert", "ÉTÉ", "Zèbre"]
    assert names(world, search="elan") == ["Élan Vert"]
    assert names(world, search="VERT él") == ["Élan Vert"]
    assert names(world, search="zebra") == []


def test_a_percent_sign_is_searched_as_itself(world: World) -> None:
    world.invite("Hundred")
    world.invite("100% Sucre")
    assert names(world, search="100%") == ["100% Sucre"]
    assert names(world, search="%") == ["100% Sucre"]
    assert names(world, search="_") == []


def test_search_finds_numbers_references_and_addresses(world: World) -> None:
    ref = world.invite("Élan Vert", vip_number="1A2B3C4D")
    world.invite("Other")
    authorization = world.authorize(ref, po="PO-4711")
    order = world.order(authorization, number="AO-99")
    for text in (
        "1A2B3C4D",
        "1A2B",
        "PO-4711",
        "po-4711",
        "AO-99",
        ref,
        ref.lower(),
        authorization,
        order,
        "elan-vert.ex",
    ):
        assert names(world, search=text) == ["Élan Vert"], text


def test_managed_by_me_and_filters(world: World) -> None:
    world.invite("One", name="bob")
    world.invite("Two", name="cleo")
    world.invite("Three", name="cleo", segment="education")
    assert names(world, mine=True) == ["One"]
    assert names(world, who="cleo", mine=True) == ["Three", "Two"]
    assert counts(world, mine=True)[None] == 1
    assert names(world, managed_by="cleo@north.example", segment="education") == ["Three"]
    assert names(world, invitation="accepted") == []
    assert names(world, membership="awaiting_first_order") == ["One", "Three", "Two"]


def test_managed_by_me_needs_somebody(world: World) -> None:
    with pytest.raises(BadInput, match="--as EMAIL"):
        list_customers(world.installation, world.who(None), mine=True)


def test_a_filter_that_does_not_exist_is_told(world: World) -> None:
    with pytest.raises(BadInput, match=r"did you mean late\?"):
        list_customers(world.installation, world.who(), list="laet")
    with pytest.raises(BadInput, match="no page ends there"):
        list_customers(world.installation, world.who(), after="nonsense")


@pytest.mark.parametrize("sort", ["name", "anniversary"])
def test_pages_show_everybody_once(world: World, sort: str) -> None:
    for number in range(11):
        ref = world.invite(f"Customer {'same' if number % 3 else number}", vip_number=f"N{number}")
        if number % 2:
            order = world.order(world.authorize(ref))
            world.accept(order)
        if number % 4 == 3:
            world.pass_days(1)
    seen: list[str] = []
    days = []
    after = None
    while True:
        page = list_customers(world.installation, world.who(), sort=sort, most=3, after=after)
        seen += [row.ref for row in page.items]
        days += [row.anniversary for row in page.items]
        after = page.next
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 11
    if sort == "anniversary":
        known = [day for day in days if day is not None]
        assert days == sorted(known) + [None] * (len(days) - len(known))
        assert len(known) == 5


def test_the_row_says_what_the_clock_does_next(world: World) -> None:
    world.invite("One")
    row = list_customers(world.installation, world.who()).items[0]
    assert row.next is not None
    assert row.next.event == "invitation.remind"
    assert row.next.says.en == "reminder of the invitation"
    assert (row.invitation, row.invitation_label.fr, row.manager) == ("sent", "envoyée", "Bob")
