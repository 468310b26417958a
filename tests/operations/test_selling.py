"""Authorizations, orders, returns and renewals, as the shells do them."""

from datetime import date

import pytest

from tests.operations.conftest import World
from vipflow.errors import BadInput, NotFound
from vipflow.operations import authorizations, orders, renewals, returns
from vipflow.operations.customer_page import show_customer
from vipflow.operations.products import Buyer, asked_lines, find_product
from vipflow.operations.tasks import list_tasks


def test_an_authorization_reminds_to_order_and_tells_its_days(world: World) -> None:
    ref = world.invite()
    done = authorizations.create(
        world.installation, world.who(), ref, ["photoshop=5", "65304521CA01A12=2"], po_number="PO-77"
    )
    assert [remark.en for remark in done.remarks] == ["Remember to place the order with Adobe in the usual way."]
    assert {mail.template for mail in done.mails} == {"products_added", "order_to_place"}
    found = authorizations.show_authorization(world.installation, world.who(), "PO-77")
    assert (found.state, found.due_on, found.can_be_cancelled) == ("pending", date(2024, 3, 15), True)
    assert [(line.quantity, line.product) for line in found.lines] == [
        (5, "Photoshop for Teams"),
        (2, "Acrobat Pro for Teams"),
    ]


def test_a_late_customer_gets_no_new_authorization_and_is_told_why(world: World) -> None:
    ref = world.invite()
    late = world.authorize(ref)
    world.pass_days(16)
    done = authorizations.create(world.installation, world.who(), ref, ["Illustrator=1"])
    assert done.outcome == "refused"
    assert (done.verdict.reasons[0].code, done.verdict.reasons[0].facts) == ("late_payment", {"late": [late]})
    assert done.happened == ()
    assert done.remarks == ()


def test_open_authorizations_are_listed_by_customer(world: World) -> None:
    for company in ("Zebra", "Alpha"):
        ref = world.invite(company)
        world.authorize(ref)
        world.authorize(ref, "Acrobat Pro=1")
    first = authorizations.list_authorizations(world.installation, world.who(), most=3)
    rest = authorizations.list_authorizations(world.installation, world.who(), most=3, after=first.next)
    assert [row.company for row in (*first.items, *rest.items)] == ["Alpha", "Alpha", "Zebra", "Zebra"]
    assert len({row.ref for row in (*first.items, *rest.items)}) == 4
    assert rest.next is None
    authorizations.cancel(world.installation, world.who(), first.items[0].ref)
    cancelled = authorizations.list_authorizations(world.installation, world.who(), states=("cancelled",))
    assert [row.ref for row in cancelled.items] == [first.items[0].ref]
    everything = authorizations.list_authorizations(world.installation, world.who(), states=(), customer=ref)
    assert {row.company for row in everything.items} == {"Alpha"}
    with pytest.raises(BadInput, match="there is no 'payed'"):
        authorizations.list_authorizations(world.installation, world.who(), states=("payed",))


def test_a_po_number_of_two_authorizations_is_ambiguous(world: World) -> None:
    ref = world.invite()
    both = {world.authorize(ref, po="PO-1"), world.authorize(ref, po="PO-1")}
    with pytest.raises(BadInput) as told:
        authorizations.cancel(world.installation, world.who(), "PO-1")
    assert all(each in str(told.value) for each in both)


def test_a_promise_needs_a_reason_and_holds_reminders(world: World) -> None:
    ref = world.authorize(world.invite())
    until = date(2024, 3, 20)
    who = world.who()
    assert authorizations.promise(world.installation, who, ref, until, reason=None).outcome == "refused"
    assert authorizations.promise(world.installation, who, ref, until, reason="called").outcome == "applied"
    refused = authorizations.remind(world.installation, who, ref)
    assert refused.verdict.reasons[0].opens_at is not None
    assert authorizations.show_authorization(world.installation, who, ref).promised_until == until


def test_an_extension_by_adobe_moves_the_due_day(world: World) -> None:
    ref = world.authorize(world.invite())
    world.pass_days(16)
    assert authorizations.show_authorization(world.installation, world.who(), ref).state == "late"
    authorizations.grant_extension(world.installation, world.who(), ref, date(2024, 4, 30))
    found = authorizations.show_authorization(world.installation, world.who(), ref)
    assert (found.state, found.due_on) == ("pending", date(2024, 4, 30))


def test_only_an_admin_writes_off(world: World) -> None:
    ref = world.authorize(world.invite())
    world.pass_days(16)
    assert authorizations.write_off(world.installation, world.who(), ref, reason="x").outcome == "refused"
    assert authorizations.write_off(world.installation, world.who("ada"), ref, reason="gone").outcome == "applied"


def test_reports_about_somebody_elses_customer_are_not_for_an_account_manager(world: World) -> None:
    ref = world.authorize(world.invite(name="bob"))
    refused = authorizations.customer_paid(world.installation, world.who("cleo"), ref)
    assert refused.verdict.reasons[0].code == "not_your_customer"
    assert authorizations.customer_paid(world.installation, world.who("sam"), ref).outcome == "applied"


def test_an_accepted_order_pays_and_starts_the_term(world: World) -> None:
    customer = world.invite()
    authorization = world.authorize(customer)
    order = world.order(authorization, number="AO-1")
    done = world.accept("AO-1")
    assert [step.event for step in done.happened] == ["order.accept", "purchase_authorization.pay", "membership.begin"]
    assert orders.show_order(world.installation, world.who(), order).return_until == date(2024, 3, 15)
    assert renewals.renewal_status(world.installation, world.who(), customer).anniversary == date(2025, 3, 1)
    assert orders.list_orders(world.installation, world.who()).items == ()
    assert len(orders.list_orders(world.installation, world.who(), states=()).items) == 1


def test_a_refused_order_puts_its_authorization_back(world: World) -> None:
    authorization = world.authorize(world.invite())
    order = world.order(authorization)
    orders.refuse(world.installation, world.who(), order, explanation="unknown account")
    assert authorizations.show_authorization(world.installation, world.who(), authorization).state == "pending"
    assert orders.show_order(world.installation, world.who(), order).explanation == "unknown account"


def test_one_order_is_of_one_customer(world: World) -> None:
    one, two = world.authorize(world.invite("One")), world.authorize(world.invite("Two"))
    with pytest.raises(BadInput, match="one order per customer"):
        orders.place_for_authorizations(world.installation, world.who(), [one, two])
    with pytest.raises(NotFound):
        orders.place_for_authorizations(world.installation, world.who(), ["PA-0000-0000"])


def test_products_without_authorization_are_ordered_directly(world: World) -> None:
    customer = world.invite()
    product = "Creative Cloud All Apps for Enterprise=3"
    refused = authorizations.create(world.installation, world.who(), customer, [product])
    assert refused.verdict.reasons[0].code == "product_without_authorization"
    done = orders.place_direct(world.installation, world.who(), customer, [product])
    assert done.outcome == "applied"
    assert world.accept(str(done.verdict.case)).outcome == "applied"
    assert show_customer(world.installation, world.who(), customer).licences == 3


def test_a_return_takes_a_part_and_a_later_one_the_rest(world: World) -> None:
    authorization = world.authorize(world.invite(), "Photoshop=5", "Acrobat Pro=2")
    order = world.order(authorization)
    world.accept(order)
    first = returns.open_return(world.installation, world.who(), order, ["Acrobat=2"])
    assert first.outcome == "applied"
    returns.approve(world.installation, world.who(), str(first.verdict.case))
    assert [line.quantity for line in orders.show_order(world.installation, world.who(), order).lines] == [5]
    too_much = returns.open_return(world.installation, world.who(), authorization, ["Photoshop=6"])
    assert too_much.verdict.reasons[0].code == "more_than_remains"
    rest = returns.open_return(world.installation, world.who(), authorization)
    assert [row.ref for row in returns.list_returns(world.installation, world.who()).items] == [rest.verdict.case]
    returns.refuse(world.installation, world.who(), str(rest.verdict.case), explanation="too late")
    assert returns.show_return(world.installation, world.who(), str(rest.verdict.case)).explanation == "too late"


def test_a_renewal_is_ordered_in_part_then_whole(world: World) -> None:
    customer = world.invite()
    world.accept(world.order(world.authorize(customer, "Photoshop=5", "Acrobat Pro=2")))
    early = renewals.place_renewal(world.installation, world.who(), customer)
    assert early.verdict.reasons[0].code == "window_not_open"
    world.pass_days(345)
    assert [row.ref for row in renewals.list_renewals(world.installation, world.who()).items] == [customer]
    part = renewals.place_renewal(world.installation, world.who(), customer, ["Photoshop=5"])
    world.accept(str(part.verdict.case))
    status = renewals.renewal_status(world.installation, world.who(), customer)
    assert status.state == "partly_renewed"
    assert [(line.quantity, line.product) for line in status.left_to_renew] == [(2, "Acrobat Pro for Teams")]
    assert [task.kind for task in list_tasks(world.installation, world.who())] == ["renewal_to_order"]
    rest = renewals.place_renewal(world.installation, world.who(), customer)
    world.accept(str(rest.verdict.case))
    assert renewals.renewal_status(world.installation, world.who(), customer).state == "renewed"


def test_adobes_own_renewal_is_reported_whole(world: World) -> None:
    customer = world.invite()
    world.accept(world.order(world.authorize(customer)))
    world.pass_days(345)
    assert renewals.report(world.installation, world.who(), customer).outcome == "applied"
    assert renewals.renewal_status(world.installation, world.who(), customer).state == "renewed"


def test_an_act_of_a_past_day_counts_from_that_day(world: World) -> None:
    ref = world.authorize(world.invite())
    world.pass_days(20)
    done = orders.place_for_authorizations(world.installation, world.on("2024-03-10"), [ref])
    assert done.outcome == "applied"
    assert orders.show_order(world.installation, world.who(), str(done.verdict.case)).placed_on == date(2024, 3, 10)


def test_tasks_come_with_the_most_pressing_first(world: World) -> None:
    late, fresh = world.invite("Late"), world.invite("Fresh", name="cleo")
    first = world.authorize(late)
    world.pass_days(16)
    second = world.authorize(fresh)
    found = [(task.kind, task.case, task.urgent) for task in list_tasks(world.installation, world.who())]
    assert found == [
        ("order_to_place", first, True),
        ("late_customer", first, True),
        ("order_to_place", second, False),
    ]
    assert [task.case for task in list_tasks(world.installation, world.who("cleo"), mine=True)] == [second]
    assert [task.kind for task in show_customer(world.installation, world.who(), late).tasks] == [
        "order_to_place",
        "late_customer",
    ]
    authorizations.customer_paid(world.installation, world.who(), first)
    assert [task.kind for task in show_customer(world.installation, world.who(), late).tasks] == ["order_to_place"]


def test_the_page_tells_everything(world: World) -> None:
    customer = world.invite(vip_number="1A2B")
    world.accept(world.order(world.authorize(customer, "Photoshop=12"), number="AO-1"))
    pending = world.authorize(customer, "Acrobat Pro=2", po="PO-2")
    world.pass_days(1)
    page = show_customer(world.installation, world.who(), customer)
    assert [row.ref for row in page.open_authorizations] == [pending]
    assert [(row.product, row.quantity, row.status) for row in page.products] == [
        ("Photoshop for Teams", 12, "paid"),
        ("Acrobat Pro for Teams", 2, "at_disposal"),
    ]
    assert (page.licences, page.discount.level, page.discount.percent) == (14, 2, 5)
    assert page.seat_duration is not None
    assert (page.seat_duration.amount, page.seat_duration.until) == (11, date(2025, 3, 1))
    assert [row.order_number for row in page.orders] == ["AO-1"]
    assert page.summary.lists == ("pending",)
    coming = [step.event for step in page.next]
    assert "purchase_authorization.fall_due" in coming
    assert "membership.open_window" in coming
    assert page.history[0].sequence > page.history[-1].sequence
    assert {mail.template for mail in page.mails} >= {"invitation", "products_added"}


# --- products as people name them ----------------------------------------------------------------------------------


def test_a_product_is_named_by_sku_or_part_of_its_name(world: World) -> None:
    catalogue = world.installation.catalogue
    buyer = Buyer("commercial", ("teams",))
    for name in ("65305156CA01A12", "65305156ca01a12", "65305156", "photoshop", "Photoshop for Teams"):
        assert find_product(catalogue, name, buyer).sku == "65305156CA01A12", name
    assert find_product(catalogue, "Photoshop", Buyer("commercial", ("enterprise",))).sku == "65322638CA01A12"
    assert find_product(catalogue, "acrobat", Buyer("commercial", held=["65304886CA01A12"])).sku == "65304886CA01A12"


def test_a_name_that_fits_several_products_lists_them(world: World) -> None:
    with pytest.raises(BadInput, match=r"it fits 3: .*All Apps Pro"):
        find_product(world.installation.catalogue, "all apps", Buyer("commercial", ("teams",)))
    with pytest.raises(NotFound, match="did you mean 65305156CA01A12"):
        find_product(world.installation.catalogue, "65305157CA01A12")
    with pytest.raises(NotFound, match="of the education segment like Photoshop"):
        find_product(world.installation.catalogue, "Photoshop", Buyer("education"))


@pytest.mark.parametrize(
    "text", ["photoshop", "photoshop=", "=5", "photoshop=0", "photoshop=-1", "photoshop=5.5", "photoshop=٣"]
)
def test_a_line_says_which_and_how_many(world: World, text: str) -> None:
    with pytest.raises(BadInput):
        asked_lines(world.installation.catalogue, [text], Buyer("commercial", ("teams",)))
