"""A customer on a terminal: the page of `vipflow customer show`, from what presses to what is past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from vipflow.cli.acting import day_text, lines_text, moment_text, order_by, short_day
from vipflow.cli.output import facts_table, table

if TYPE_CHECKING:
    from vipflow.operations.customer_page import Coming, CustomerPage
    from vipflow.operations.holds import Hold


def rendered(page: CustomerPage, zone: ZoneInfo, *, most_coming: int) -> Iterator[RenderableType]:
    """The page, section by section; a section with nothing in it is left out."""
    yield from _head(page)
    yield from _tasks(page)
    yield from _incidents(page, zone)
    yield from _open_authorizations(page, zone)
    yield from _products(page)
    yield from _renewal(page)
    yield from _history_of_authorizations(page)
    yield from _orders_and_returns(page)
    yield from _coming(page, zone, most_coming)
    yield from _mails(page, zone)
    yield from _notes(page, zone)
    yield from _past(page, zone)


def _hold(hold: Hold) -> str:
    what = "mails" if hold.mail_only else "all"
    return f"{what}, by {hold.made_by}: {hold.reason} ({hold.id})"


def _head(page: CustomerPage) -> Iterator[RenderableType]:
    facts, summary = page.facts, page.summary
    title = Text(facts.company, style="bold")
    title.append(f"   {summary.ref}", style="cyan")
    yield title
    provisional = " (provisional)" if facts.vip_number_provisional else ""
    town = " ".join(filter(None, [facts.postal_code, facts.city]))
    place = ", ".join(filter(None, [town, facts.region, facts.country]))
    invitation = page.invitation
    when = invitation.accepted_on or invitation.sent_on
    yield Padding(
        facts_table(
            {
                "On hold": "\n".join(_hold(each) for each in page.holds) or None,
                "VIP number": f"{facts.vip_number}{provisional}",
                "Contact": f"{facts.contact.name} <{facts.contact.email}>",
                "Copies to": ", ".join(f"{each.name} <{each.email}>" for each in facts.recipients) or None,
                "Address": f"{facts.address}, {place}",
                "Segment": f"{facts.segment}; offers: {', '.join(facts.offer_types)}",
                "Language": _language(facts.language),
                "Managed by": summary.manager,
                "Invitation": "member before it came here"
                if facts.adopted
                else f"{invitation.label.en}{f' on {day_text(when)}' if when else ''}",
                "Membership": _membership(page),
                "Lists": ", ".join(_list_name(name) for name in summary.lists) or None,
            }
        ),
        (0, 0, 0, 2),
        expand=False,
    )


def _membership(page: CustomerPage) -> str | None:
    found = page.membership
    if found is None:
        return None
    if found.anniversary is None:
        return f"{found.label.en}: the first order starts the term"
    return f"{found.label.en}; anniversary date {day_text(found.anniversary)}; policy {found.policy}"


def _tasks(page: CustomerPage) -> Iterator[RenderableType]:
    if not page.tasks:
        return
    yield _title("To do")
    for task in page.tasks:
        line = Text("  • ", style="yellow" if task.urgent else "")
        line.append(task.says.en)
        if task.due_on is not None:
            line.append(f", by {day_text(task.due_on)}", style="bold" if task.urgent else "")
        line.append(f"   {task.case}", style="dim")
        yield line


def _incidents(page: CustomerPage, zone: ZoneInfo) -> Iterator[RenderableType]:
    if not page.incidents:
        return
    yield _title("Needs a person")
    for incident in page.incidents:
        yield Text.assemble(
            ("  ! ", "red"), incident.says.en, (f"   {incident.id}, {moment_text(incident.opened_at, zone)}", "dim")
        )


def _open_authorizations(page: CustomerPage, zone: ZoneInfo) -> Iterator[RenderableType]:
    if not page.open_authorizations:
        return
    yield _title("Pending and late authorizations")
    yield _indented(
        table(
            {
                "Authorization": lambda row: row.ref + (f"\nPO {row.po_number}" if row.po_number else ""),
                "Status": _status,
                "Products": lambda row: lines_text(row.lines),
                "Created": lambda row: short_day(row.created_on),
                "Order by": lambda row: short_day(order_by(row, zone)),
                "Deactivated from": lambda row: short_day(row.suspended_from),
            },
            page.open_authorizations,
        )
    )


def _status(row: Any) -> Text:
    found = Text(row.label.en, style={"late": "red", "suspended": "red", "pending": "yellow"}.get(row.state, ""))
    for what, on in (("customer paid", row.customer_paid_on), ("promised until", row.promised_until)):
        if on is not None:
            found.append(f"\n{what} {on}", style="dim")
    return found


def _products(page: CustomerPage) -> Iterator[RenderableType]:
    if not page.products:
        return
    yield _title("Products")
    yield _indented(
        table(
            {
                "Product": lambda row: row.product,
                "Licences": lambda row: row.quantity,
                "Status": lambda row: Text(row.label.en, style="" if row.usable else "dim"),
                "Authorization": lambda row: row.authorization,
            },
            page.products,
        )
    )
    percent = f" ({page.discount.percent} %)" if page.discount.percent else ""
    told = f"  {page.licences} licences usable, discount level {page.discount.level}{percent}."
    seats = page.seat_duration
    if seats is not None:
        unit = seats.unit if seats.amount != 1 else seats.unit.rstrip("s")
        told += f" Licences added today are ordered for {seats.amount} {unit}, until {day_text(seats.until)}."
    yield Text(told, style="dim")


def _renewal(page: CustomerPage) -> Iterator[RenderableType]:
    found = page.membership
    if found is None or found.state not in ("upcoming", "ready", "partly_renewed", "renewed"):
        return
    yield _title("Renewal")
    told = {
        "window": f"{day_text(found.window_opens)} to {day_text(found.window_closes)}",
        "renewed": lines_text(found.renewed) or None,
        "left to renew": lines_text(found.left_to_renew) or None,
        "declined": "yes" if found.renewal_declined else None,
    }
    yield _indented(facts_table(told))


def _history_of_authorizations(page: CustomerPage) -> Iterator[RenderableType]:
    if not page.authorizations:
        return
    yield _title("History of authorizations")
    yield _indented(
        table(
            {
                "Authorization": lambda row: row.ref,
                "PO": lambda row: row.po_number,
                "Created": lambda row: short_day(row.created_on),
                "Status": lambda row: row.label.en + (" (× can be cancelled)" if row.can_be_cancelled else ""),
                "Products": lambda row: lines_text(row.lines) or "nothing left",
                "Order": lambda row: row.order,
            },
            page.authorizations,
        )
    )


def _orders_and_returns(page: CustomerPage) -> Iterator[RenderableType]:
    if page.orders:
        yield _title("Orders")
        yield _indented(
            table(
                {
                    "Order": lambda row: row.ref + (f"\nAdobe {row.order_number}" if row.order_number else ""),
                    "For": lambda row: {"authorization": ", ".join(row.authorizations)}.get(row.kind, row.kind),
                    "Status": lambda row: row.label.en,
                    "Placed": lambda row: short_day(row.placed_on),
                    "Returnable until": lambda row: short_day(row.return_until),
                    "Products": lambda row: lines_text(row.lines) or "nothing left",
                },
                page.orders,
            )
        )
    if page.returns:
        yield _title("Returns")
        yield _indented(
            table(
                {
                    "Return": lambda row: row.ref,
                    "Of": lambda row: row.order or row.authorization,
                    "Status": lambda row: row.label.en,
                    "Asked": lambda row: short_day(row.requested_on),
                    "Products": lambda row: lines_text(row.lines),
                },
                page.returns,
            )
        )


def _coming(page: CustomerPage, zone: ZoneInfo, most: int) -> Iterator[RenderableType]:
    if not page.next or not most:
        return
    yield _title("What comes next, if nobody does anything")
    folded = _folded(page.next)
    columns = {
        "When": lambda step: _moment(step[0].at, zone),
        "What": lambda step: step[0].says.en + _again(step[1:], zone),
        "Record": lambda step: "" if step[0].case == page.summary.ref else step[0].case,
        "Mails": lambda step: _their_mails(step[0]),
    }
    yield _indented(table(columns, folded[:most]))
    if len(folded) > most:
        yield Text(f"  … and more: vipflow next {page.summary.ref}", style="dim")


def _folded(steps: Sequence[Coming]) -> list[list[Coming]]:
    """Steps in order; what comes again and again (a reminder) once, with its repetitions."""
    found: dict[tuple[str, str, str | None], list[Coming]] = {}
    for step in steps:
        found.setdefault((step.case, step.event, step.from_state), []).append(step)
    return list(found.values())


def _again(steps: Sequence[Coming], zone: ZoneInfo) -> str:
    if not steps:
        return ""
    times = "once more" if len(steps) == 1 else f"{len(steps)} times more"
    last = short_day(steps[-1].at.astimezone(zone).date())
    return f"\n{times}, {'on' if len(steps) == 1 else 'the last on'} {last}"


def _their_mails(step: Coming) -> str:
    return "\n".join(f"{mail.template.replace('_', ' ')} to {mail.to}" for mail in step.mails)


def _mails(page: CustomerPage, zone: ZoneInfo) -> Iterator[RenderableType]:
    if not page.mails:
        return
    yield _title("Mails on their way")
    for mail in page.mails:
        state = "" if mail.state == "waiting" else f" ({mail.state})"
        yield Text.assemble(
            f"  {mail.template.replace('_', ' ')}, to {mail.to}, not before {moment_text(mail.leaves_at, zone)}{state}"
        )


def _notes(page: CustomerPage, zone: ZoneInfo) -> Iterator[RenderableType]:
    if not page.notes:
        return
    yield _title("Notes")
    for each in page.notes:
        text = (each.note or {}).get("data", {}).get("text", "")
        yield Text.assemble(f"  {text}", (f"   {each.by}, {_moment(each.at, zone)}", "dim"))


def _past(page: CustomerPage, zone: ZoneInfo) -> Iterator[RenderableType]:
    if not page.history:
        return
    yield _title("What happened")
    columns = {
        "When": lambda step: _moment(step.at, zone),
        "What": lambda step: step.says.en,
        "Record": lambda step: "" if step.case == page.summary.ref else step.case,
        "By": _who,
        "Reason": lambda step: step.reason,
    }
    if not any(step.reason for step in page.history):
        del columns["Reason"]
    yield _indented(table(columns, page.history))
    if page.history[-1].sequence > 1:
        yield Text(f"  … and before: vipflow history {page.summary.ref}", style="dim")


def _who(step: Any) -> str:
    return {"clock": "the clock", "customer": "the customer"}.get(step.by_kind, str(step.by))


def _title(text: str) -> RenderableType:
    return Group("", Rule(Text(text, style="bold"), align="left", style="dim"))


def _indented(shown: RenderableType) -> RenderableType:
    return Padding(shown, (0, 0, 0, 2), expand=False)


def _moment(instant: Any, zone: ZoneInfo) -> str:
    local = instant.astimezone(zone)
    time = "" if (local.hour, local.minute, local.second) == (0, 0, 0) else f" {local:%H:%M}"
    return f"{short_day(local.date())}{time}"


def _language(code: str) -> str:
    return {"fr": "French", "en": "English"}.get(code, code)


def _list_name(name: str) -> str:
    from vipflow.vip.lists import LISTS

    return next(each.label.en for each in LISTS if each.name == name)
