"""`vipflow customer …`: invite, take over, find and look at customers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import replace

from vipflow.cli.acting import CustomerRef, EventId, Mine, OwnRef, Why, day_given, short_day, show_done
from vipflow.cli.completing import one_of, team
from vipflow.cli.customer_import import import_members
from vipflow.cli.options import After, Limit
from vipflow.cli.session import Session, command, group
from vipflow.errors import BadInput

if TYPE_CHECKING:
    from vipflow.operations.customer_lists import CustomerRow

Company = Annotated[str, typer.Option("--company", help="The name of the company.", metavar="NAME")]
SegmentOption = Annotated[
    str,
    typer.Option(
        "--segment",
        help="commercial, government or education.",
        metavar="SEGMENT",
        autocompletion=one_of("commercial", "government", "education"),
    ),
]
Address = Annotated[str, typer.Option("--address", help="Street and number.", metavar="TEXT")]
PostalCode = Annotated[str | None, typer.Option("--postal-code", help="As the country writes it.", metavar="CODE")]
City = Annotated[str, typer.Option("--city", help="The town.", metavar="NAME")]
Region = Annotated[str | None, typer.Option("--region", help="Region, state or province.", metavar="NAME")]
Country = Annotated[str, typer.Option("--country", help="Two letters: FR, BE, …", metavar="CODE")]
ContactName = Annotated[
    str, typer.Option("--contact", help="The primary contact, who becomes the administrator.", metavar="NAME")
]
Email = Annotated[str, typer.Option("--email", help="The contact's e-mail address.", metavar="EMAIL")]
LanguageOption = Annotated[
    str | None, typer.Option("--language", help="Of its mails: fr or en. [the reseller's, if left out]", metavar="CODE")
]
OfferTypesOption = Annotated[
    list[str] | None,
    typer.Option("--offer-type", help="teams (if left out), enterprise or education. Repeat for more.", metavar="TYPE"),
]
Manager = Annotated[
    str | None,
    typer.Option("--manager", help="Who is in charge: e-mail or name. [you, if left out]", metavar="MEMBER"),
]
Copies = Annotated[
    list[str] | None,
    typer.Option("--copy-to", help='Who gets copies: "Name <e-mail>". Repeat for more.', metavar="PERSON"),
]


def add_to(app: typer.Typer) -> None:
    customer = group("customer", "Invite, take over, find and look at customers.")
    command(customer, "invite", act="rehearsed", on=True)(invite)
    command(customer, "adopt", act="rehearsed", on=True)(adopt)
    command(customer, "import", on=True)(import_members)
    command(customer, "list", rows="vipflow.operations.customer_sheets.CustomerSheet")(list_)
    command(customer, "show")(show)
    command(customer, "assign", act="rehearsed", on=True)(assign)
    command(customer, "recipients", act="rehearsed", on=True)(recipients)
    command(customer, "note", act="rehearsed", on=True)(note)
    command(customer, "offer-type", act="rehearsed", on=True)(offer_type)
    command(customer, "vip-number", act="rehearsed", on=True)(vip_number)
    command(customer, "resend", act="rehearsed", on=True)(resend)
    command(customer, "remind", act="rehearsed", on=True)(remind)
    command(customer, "withdraw", act="rehearsed", on=True)(withdraw)
    app.add_typer(customer)


def invite(
    session: Session,
    company: Company,
    segment: SegmentOption,
    contact: ContactName,
    email: Email,
    address: Address,
    city: City,
    country: Country,
    postal_code: PostalCode = None,
    region: Region = None,
    offer_type: OfferTypesOption = None,
    language: LanguageOption = None,
    anniversary: Annotated[
        str | None,
        typer.Option(
            "--anniversary",
            help="A chosen anniversary date, more than 12 months ahead. It cannot be changed later.",
            metavar="DATE",
        ),
    ] = None,
    vip_number: Annotated[
        str | None,
        typer.Option("--vip-number", help="Adobe's number, if you have it: else a provisional one.", metavar="NUMBER"),
    ] = None,
    manager: Manager = None,
    copy_to: Copies = None,
    ref: OwnRef = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, whatever there is to warn of.")] = False,
    id_: EventId = None,
) -> None:
    """Adds a customer and sends the invitation to join the VIP programme.

    Its data cannot be corrected after sending (a rule of the programme): on a terminal the command shows what to
    check and asks.
    """
    from vipflow.operations import customers

    form = {
        **_company(session, company, segment, contact, email, address, city, country, postal_code, region, language),
        "offer_types": offer_type or ["teams"],
        "anniversary": day_given(anniversary, "--anniversary").isoformat() if anniversary else None,
        "vip_number": vip_number,
        "owner": manager,
        "recipients": [_person(each) for each in copy_to or ()],
    }
    customers.check_form(
        session.installation, "customer.invite", form, ref, id_
    )  # before it is warned of what it may be
    known = customers.before_inviting(
        session.installation, session.who, company=company, country=country.upper(), email=email
    )
    if not session.out.json:  # there they stand in the answer
        for warning in known.warnings:
            session.out.warn(warning.en)
        _show_look_alikes(session, known.look_alikes)
    if not (yes or session.dry_run or session.out.json) and sys.stdin.isatty():
        typer.confirm(f"Invite {company}?", abort=True, err=True)
    done = customers.invite(session.installation, session.who, form, reference=ref, id=id_)
    made = done.verdict.subject
    number = _number_of(session, made) if done.outcome == "applied" and made else ""
    quiet = done if session.out.json else replace(done, remarks=())
    show_done(
        session,
        quiet,
        f"Invited {company}: {made}, VIP number {number}",
        f"Licences at its disposal: vipflow authorization create {made} --product PRODUCT=QUANTITY",
    )


def adopt(
    session: Session,
    vip_number: Annotated[str, typer.Option("--vip-number", help="Adobe's number of the member.", metavar="NUMBER")],
    company: Company,
    segment: SegmentOption,
    contact: ContactName,
    email: Email,
    address: Address,
    city: City,
    country: Country,
    postal_code: PostalCode = None,
    region: Region = None,
    anniversary: Annotated[
        str | None,
        typer.Option("--anniversary", help="The anniversary date; left out: nothing ordered yet.", metavar="DATE"),
    ] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option("--licence", help="What it holds: SKU or name, = and how many. Repeat.", metavar="PRODUCT=N"),
    ] = None,
    offer_type: OfferTypesOption = None,
    language: LanguageOption = None,
    manager: Manager = None,
    copy_to: Copies = None,
    ref: OwnRef = None,
    id_: EventId = None,
) -> None:
    """Takes over a customer that is a member already, silently: it starts where its dates say, no mail leaves.

    For many of them, or for authorizations that are still open: `vipflow customer import`.
    """
    from vipflow.operations import customers
    from vipflow.operations.products import Buyer, asked_lines

    offers = offer_type or ["teams"]
    buyer = Buyer(segment, offers)  # type: ignore[arg-type] # another word finds no product and is refused below
    form = {
        **_company(session, company, segment, contact, email, address, city, country, postal_code, region, language),
        "vip_number": vip_number,
        "anniversary": day_given(anniversary, "--anniversary").isoformat() if anniversary else None,
        "licences": asked_lines(session.installation.catalogue, licence or (), buyer),
        "offer_types": offers,
        "owner": manager,
        "recipients": [_person(each) for each in copy_to or ()],
    }
    done = customers.adopt(session.installation, session.who, form, reference=ref, id=id_)
    made = done.verdict.subject
    show_done(session, done, f"Took over {company}: {made}", f"See it: vipflow customer show {made}")


def list_(
    session: Session,
    which: Annotated[
        str | None,
        typer.Option(
            "--list",
            help="no_products, pending, late, upcoming or ready.",
            metavar="LIST",
            autocompletion=one_of("no_products", "pending", "late", "upcoming", "ready"),
        ),
    ] = None,
    mine: Mine = False,
    search: Annotated[
        str | None,
        typer.Option("--search", help="Words of the name; VIP, PO or order number; reference; e-mail.", metavar="TEXT"),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(
            "--segment",
            help="commercial, government or education.",
            metavar="SEGMENT",
            autocompletion=one_of("commercial", "government", "education"),
        ),
    ] = None,
    manager: Annotated[
        str | None,
        typer.Option(
            "--manager", help="Managed by the member with this e-mail.", metavar="EMAIL", autocompletion=team()
        ),
    ] = None,
    invitation: Annotated[
        str | None,
        typer.Option(
            "--invitation",
            help="sent, accepted, withdrawn or expired.",
            metavar="STATE",
            autocompletion=one_of("sent", "accepted", "withdrawn", "expired"),
        ),
    ] = None,
    membership: Annotated[
        str | None,
        typer.Option("--membership", help="active, upcoming, ready, renewed, expired, …", metavar="STATE"),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort", help="name or anniversary.", metavar="KEY", autocompletion=one_of("name", "anniversary")
        ),
    ] = "name",
    limit: Limit = 50,
    after: After = None,
) -> None:
    """Lists customers, with how many stand in each of the five lists.

    As CSV each with all that `vipflow customer import` reads: into another installation, say.
    """
    from vipflow.operations.customer_lists import list_customers
    from vipflow.operations.customer_sheets import customer_sheets

    asked: dict[str, Any] = {
        "list": which,
        "mine": mine,
        "managed_by": manager,
        "search": search,
        "segment": segment,
        "invitation": invitation,
        "membership": membership,
        "sort": sort,
        "after": after,
    }
    if session.out.csv:
        session.out.rows(customer_sheets(session.installation, session.who, **asked), {})
        return
    page = list_customers(session.installation, session.who, **asked, most=limit)
    if session.out.json:
        session.out.write_json(page)
        return
    narrowed = any((which, mine, search, segment, manager, invitation, membership))
    counts = "   ".join(f"{each.label.en} {each.count:,}" for each in page.counts)
    session.out.console.print(counts, style="dim", highlight=False)
    zone = session.who.zone
    session.out.rows(
        page.items,
        {
            "Customer": lambda row: f"{row.company}\n{row.email}",
            "Reference\nVIP number": lambda row: f"{row.ref}\n{row.vip_number}",
            "Anniversary": lambda row: short_day(row.anniversary),
            "Segment": lambda row: row.segment,
            "Managed by": lambda row: row.manager,
            "Invitation": lambda row: row.invitation_label.en,
            "Next": lambda row: _next(row, zone),
        },
        next=page.next,
        empty="No customer fits." if narrowed else "There are no customers yet.",
    )


def show(
    session: Session,
    customer: CustomerRef,
    history: Annotated[
        int, typer.Option("--history", min=0, max=1000, help="So many rows of the past.", metavar="N")
    ] = 8,
    coming: Annotated[int, typer.Option("--coming", min=0, max=400, help="So many things to come.", metavar="N")] = 8,
) -> None:
    """Shows a customer: what it holds and owes, what to do, what happened, what comes next."""
    from vipflow.cli.customer_page import rendered
    from vipflow.operations.customer_page import show_customer

    page = show_customer(session.installation, session.who, customer, most_history=history)
    if session.out.json:
        session.out.write_json(page)
    else:
        session.out.answer(page, *rendered(page, session.who.zone, most_coming=coming))


def assign(
    session: Session,
    customer: CustomerRef,
    to: Annotated[str, typer.Option("--to", help="Who takes over: e-mail or name.", metavar="MEMBER")],
    id_: EventId = None,
) -> None:
    """Puts another member of the team in charge of a customer."""
    from vipflow.operations import customers

    done = customers.assign(session.installation, session.who, customer, to, id=id_)
    owner = to
    if done.outcome == "applied":
        owner = customers.facts_of_customer(session.installation, session.who, str(done.verdict.subject)).owner
    show_done(session, done, f"{done.verdict.subject} is now managed by {owner}")


def recipients(
    session: Session,
    customer: CustomerRef,
    add: Annotated[
        list[str] | None, typer.Option("--add", help='Somebody more: "Name <e-mail>". Repeat.', metavar="PERSON")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="Somebody no more. Repeat.", metavar="EMAIL")
    ] = None,
    id_: EventId = None,
) -> None:
    """Changes who gets copies of a customer's mails: the way when its people change, for the contact cannot."""
    from vipflow.operations import customers
    from vipflow.vip.records import Recipient

    if not add and not remove:
        raise BadInput("the notice recipients", "nobody is named", "name somebody with --add or --remove")
    added = [Recipient(**_person(each)) for each in add or ()]
    done = customers.set_recipients(session.installation, session.who, customer, add=added, remove=remove or (), id=id_)
    there = ""
    if done.outcome == "applied":
        facts = customers.facts_of_customer(session.installation, session.who, str(done.verdict.subject))
        there = ", ".join(f"{each.name} <{each.email}>" for each in facts.recipients)
    show_done(session, done, f"Copies of mails to {done.verdict.subject} go to {there or 'nobody'}")


def note(
    session: Session,
    customer: CustomerRef,
    text: Annotated[str, typer.Argument(help="What to remember.", metavar="TEXT")],
    id_: EventId = None,
) -> None:
    """Writes a note about a customer into its history."""
    from vipflow.operations import customers

    done = customers.note(session.installation, session.who, customer, text, id=id_)
    show_done(session, done, f"Noted, with {done.verdict.subject}")


def offer_type(
    session: Session,
    customer: CustomerRef,
    kind: Annotated[str, typer.Argument(help="teams, enterprise or education.", metavar="TYPE")],
    id_: EventId = None,
) -> None:
    """Adds a type of offers that the customer is shown; any may be added at any time."""
    from vipflow.operations import customers

    done = customers.add_offer_type(session.installation, session.who, customer, kind, id=id_)
    show_done(session, done, f"{done.verdict.subject} is offered {kind} products as well")


def vip_number(
    session: Session,
    customer: CustomerRef,
    number: Annotated[str, typer.Argument(help="Adobe's VIP number of the customer.", metavar="NUMBER")],
    id_: EventId = None,
) -> None:
    """Records Adobe's VIP number in place of the provisional one, once."""
    from vipflow.operations import customers

    done = customers.record_number(session.installation, session.who, customer, number, id=id_)
    show_done(session, done, f"{done.verdict.subject} has the VIP number {number}")


def resend(session: Session, customer: CustomerRef, id_: EventId = None) -> None:
    """Sends the invitation again; its reminders begin anew."""
    from vipflow.operations import customers

    done = customers.resend_invitation(session.installation, session.who, customer, id=id_)
    show_done(session, done, f"The invitation of {done.verdict.subject} is sent again")


def remind(session: Session, customer: CustomerRef, id_: EventId = None) -> None:
    """Reminds the contact of the invitation now."""
    from vipflow.operations import customers

    done = customers.remind_of_invitation(session.installation, session.who, customer, id=id_)
    show_done(session, done, f"The contact of {done.verdict.subject} is reminded of the invitation")


def withdraw(session: Session, customer: CustomerRef, reason: Why = None, id_: EventId = None) -> None:
    """Withdraws the invitation, while nothing was ever bought. A reason is needed."""
    from vipflow.operations import customers

    done = customers.withdraw_invitation(session.installation, session.who, customer, reason=reason, id=id_)
    show_done(session, done, f"The invitation of {done.verdict.subject} is withdrawn")


# --- what is typed, what is shown ----------------------------------------------------------------------------------


def _company(
    session: Session,
    company: str,
    segment: str,
    contact: str,
    email: str,
    address: str,
    city: str,
    country: str,
    postal_code: str | None,
    region: str | None,
    language: str | None,
) -> dict[str, Any]:
    return {
        "company": company,
        "segment": segment,
        "country": country.upper(),
        "contact": {"name": contact, "email": email},
        "language": language or session.who.language,
        "address": address,
        "city": city,
        "postal_code": postal_code,
        "region": region,
    }


def _person(text: str) -> dict[str, str]:
    """`Anna Martin <anna@north.example>`, or the address alone."""
    name, bracket, email = text.strip().rpartition("<")
    address = (email.rstrip("> ") if bracket else text).strip()
    return {"name": name.strip(' "') or address.partition("@")[0], "email": address}


def _number_of(session: Session, ref: str) -> str:
    from vipflow.operations.customers import facts_of_customer

    facts = facts_of_customer(session.installation, session.who, ref)
    if not facts.vip_number_provisional:
        return facts.vip_number
    return f"{facts.vip_number} (provisional: record Adobe's with `vipflow customer vip-number`)"


def _show_look_alikes(session: Session, rows: tuple[CustomerRow, ...]) -> None:
    for row in rows:
        session.out.note(f"  {row.ref}  {row.company}, {row.email}, VIP number {row.vip_number}")


def _next(row: CustomerRow, zone: Any) -> str:
    if row.next is None:
        return ""
    return f"{short_day(row.next.at.astimezone(zone).date())}: {row.next.says.en}"
