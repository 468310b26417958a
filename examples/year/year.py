"""One reseller's eighteen months: who its customers are, and which stories they live."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from people import Chance, Customer, Town, plain
from resellers import Reseller
from stories import Storyteller
from telling import DIRECT, END, PROGRAMMES, START, Lines, Told, later

MEMBERS, INVITED = 60, 40


@dataclass
class Open:
    """An authorization that is under way on the day of the import."""

    lines: Lines
    created_on: date
    po_number: str
    due_on: date | None = None
    ordered: bool = False
    order_number: str | None = None


@dataclass
class Member:
    """A customer that was a member before, as it stands on the day of the import."""

    customer: Customer
    anniversary: date | None
    anchor: int | None = None
    licences: Lines = field(default_factory=dict)
    open: Open | None = None


class Year:
    """One reseller's eighteen months."""

    def __init__(self, reseller: Reseller) -> None:
        self.reseller = reseller
        self.chance = Chance(f"vipflow example year, {reseller.key}")
        self.zone = ZoneInfo(reseller.zone)
        self.teller = Storyteller(
            self.chance,
            reseller.domain,
            self.zone,
            PROGRAMMES[reseller.policy],
            reseller.language,
            reseller.letter,
            must_buy=list(reseller.ways_to_buy),
            must_renew=list(reseller.ways_to_renew),
        )
        encoding = reseller.encoding if reseller.encoding == "cp1252" else None
        self.town = Town(self.chance, reseller.countries, reseller.managers, f"{reseller.letter}K", encoding)
        self.members: list[Member] = []
        self.customers: list[Customer] = []

    def pass_by(self) -> None:
        """Tells it all."""
        for number in range(MEMBERS):
            self._member(number)
        for number in range(INVITED):
            self._invited(number)
        self._now_and_then()
        self._left_open()
        if self.teller.must_buy or self.teller.must_renew:
            raise AssertionError(
                f"{self.reseller.key}: nobody left for {self.teller.must_buy} {self.teller.must_renew}"
            )
        self._number()
        self._twice()

    # --- existing members -----------------------------------------------------------------------------------------

    def _member(self, number: int) -> None:
        customer = self.town.found()
        if number == 0:
            customer.company, customer.segment = self._long_name(), "commercial"
            customer.contact_email = (
                f"{customer.contact_email.partition('@')[0]}@{plain(customer.company)[:40].strip('-')}.example"
            )
        customer.ref = customer.vip_number
        self.customers.append(customer)
        # Anniversaries all around the year: some windows are open today, some have just closed.
        anniversary = START + timedelta(days=(number * 6) % 356 - (20 if number % 10 else 45))
        if number == 7:
            anniversary = date(2025, 2, 28)
        anchor = 31 if number == 7 else anniversary.day
        lines = self.teller.some_lines(customer)
        if customer.large and customer.segment == "commercial":
            lines |= self.teller.some_lines(customer, DIRECT)
        self.teller.gains(customer, START - timedelta(days=200), lines)
        member = Member(customer, anniversary, anchor if number == 7 else None, lines)
        self.members.append(member)
        closes = anniversary + timedelta(days=PROGRAMMES[self.reseller.policy].closes)
        if closes < START:  # expired before we came
            self.teller.gains(customer, START - timedelta(days=1), {sku: -quantity for sku, quantity in lines.items()})
            if self.chance.happens(60):
                self.teller.come_back(customer, START + timedelta(days=self.chance.number(9, 60)), 120)
            return
        if number % 9 == 4:
            member.open = self._open_authorization(customer, number)
        if number % 20 == 11:
            # Invited last week by other means: nothing ordered yet.
            member.anniversary, member.anchor, member.licences = None, None, {}
            self.teller.ledger[customer.own] = []
            first = self.teller.buy(customer, START + timedelta(days=self.chance.number(4, 20)), "plainly")
            if first is not None:
                self.teller.live(customer, first + timedelta(days=5), later(first, 12), first.day, 110)
            return
        begin = START + timedelta(days=1 if member.open is None else 40)
        self.teller.live(customer, begin, anniversary, anchor, 115)

    def _long_name(self) -> str:
        name = {
            "rhone": "Société coopérative d’impression, de reliure et d’édition d’art du Haut-Jura SCP",
            "brabant": "Coopérative wallonne et bruxelloise des métiers du livre, de l’affiche et décors",
            "thames": "The Worshipful Company of Illuminators, Engravers, Binders and Printers of Poplar",
        }[self.reseller.key]
        return name[:80]

    def _open_authorization(self, customer: Customer, number: int) -> Open:
        """An authorization that is under way on the day of the import, and what becomes of it."""
        programme = PROGRAMMES[self.reseller.policy]
        lines = self.teller.some_lines(customer)
        created = START - timedelta(
            days=self.chance.number(2, 5) if programme.due is None else self.chance.number(4, programme.due + 6)
        )
        po = f"{'BC' if self.reseller.language == 'fr' else 'PO'}-2024-{number + 20:03d}"
        found = Open(lines, created, po)
        if number % 2:
            found.ordered, found.order_number = True, self.teller.adobe_number()
            at = self.teller.any_time(START + timedelta(days=self.chance.number(1, 3)))
            self.teller.tell("adobe", "order.accept", f"orders/{found.order_number}", at)
            self.teller.gains(customer, at.date(), lines)
            return found
        if programme.due is not None and self.chance.happens(40):
            found.due_on = START + timedelta(days=12)  # Adobe granted another day
        day = START + timedelta(days=self.chance.number(1, 8) if programme.due is not None else 1)
        self.teller.ordered(customer, self.teller.office(day), lines, po)
        return found

    # --- invited customers ----------------------------------------------------------------------------------------

    def _invited(self, number: int) -> None:
        customer = self.town.found()
        customer.ref = customer.own
        self.customers.append(customer)
        teller, chance, path = self.teller, self.chance, f"customers/{customer.own}"
        day = START + timedelta(days=1 + number * 13 + chance.number(0, 6))
        at = teller.office(day)
        data: dict[str, Any] = {
            "company": customer.company,
            "segment": customer.segment,
            "country": customer.country,
            "language": customer.language,
            "contact": customer.contact,
            "address": customer.address,
            "city": customer.city,
            "postal_code": customer.postal_code,
            "offer_types": [
                "enterprise" if customer.large else "education" if customer.segment == "education" else "teams"
            ],
            "owner": customer.owner,
        }
        if customer.region:
            data["region"] = customer.region
        if chance.happens(12):
            data["recipients"] = [
                {
                    "name": "Comptabilité" if customer.language == "fr" else "Accounts",
                    "email": customer.contact_email.replace(customer.contact_email.partition("@")[0], "accounts"),
                }
            ]
        anniversary = None
        if number % 13 == 5:
            anniversary = later(at.date(), 12).replace(day=1) + timedelta(days=chance.number(70, 150))
            data["anniversary"] = anniversary.isoformat()
        known_number = number % 5 == 3
        if known_number:
            data["vip_number"] = customer.vip_number
        if number == 4:  # somebody who left long ago is named: refused, and sent again
            teller.tell(
                "crm",
                "customer.invite",
                path,
                at - timedelta(minutes=20),
                data | {"owner": f"ancien@{self.reseller.domain}"},
            )
        slow = timedelta(days=4, hours=2) if number == 9 else None
        teller.tell("crm", "customer.invite", path, at, data, delay=slow)
        if not known_number:
            recorded = at + timedelta(hours=chance.number(2, 30))
            teller.tell("adobe", "customer.record_number", path, recorded, {"vip_number": customer.vip_number})
        self._answer(customer, at, number, anniversary)

    def _answer(self, customer: Customer, at: datetime, number: int, anniversary: date | None) -> None:
        """What the customer makes of the invitation."""
        teller, chance, path = self.teller, self.chance, f"customers/{customer.own}"
        way = {
            2: "withdrawn",
            6: "never",
            8: "resent",
            12: "after_all",
            14: "given_up",
            17: "reminded",
            20: "never",
        }.get(number) or chance.weighted({"soon": 72, "slowly": 16, "never": 7, "resent": 3, "withdrawn": 2})
        accepted: datetime | None = None
        if way == "soon":
            accepted = teller.any_time(at.date() + timedelta(days=chance.number(1, 6)))
        elif way == "slowly":
            accepted = teller.any_time(at.date() + timedelta(days=chance.number(9, 45)))
        elif way == "reminded":
            teller.tell("crm", "invitation.remind", path, teller.after(at, 10, 14))
            accepted = teller.any_time(at.date() + timedelta(days=19))
        elif way == "resent":
            again = teller.after(at, 24, 30)
            teller.tell("crm", "invitation.resend", path, again)
            accepted = teller.any_time(again.date() + timedelta(days=chance.number(2, 9)))
        elif way == "after_all":  # where invitations expire, after that
            again = teller.after(at, 96, 99)
            teller.tell("crm", "invitation.resend", path, again)
            accepted = teller.any_time(again.date() + timedelta(days=3))
        elif way in ("withdrawn", "given_up"):
            gone = teller.after(at, 3, 9) if way == "withdrawn" else teller.after(at, 100, 103)
            why = "Adresse erronée." if self.reseller.language == "fr" else "The address was wrong."
            if way == "given_up":
                why = (
                    "Projet abandonné par le client."
                    if self.reseller.language == "fr"
                    else "The customer gave the project up."
                )
            teller.tell("crm", "invitation.withdraw", path, gone, reason=why)
            return
        if accepted is not None:
            delay = timedelta(days=chance.number(3, 8), hours=1) if number % 16 == 10 else None
            first = teller.tell("adobe", "invitation.accept", path, accepted, delay=delay)
            if number % 12 == 1:  # Adobe says it again under another id
                teller.tell("adobe", "invitation.accept", path, first.at + timedelta(days=2))
        if accepted is None or chance.happens(9):
            return
        # Acceptance is not needed to buy: some do so before.
        begin = max(at.date() + timedelta(days=1), accepted.date() + timedelta(days=chance.number(-4, 12)))
        if begin > accepted.date() + timedelta(days=1) and customer.vip_number and chance.happens(50):
            customer.ref = customer.vip_number
        way_to_buy = "and_cancel" if number == 3 else teller.way_to_buy(customer, steady=number % 4 != 0)
        first_day = teller.buy(customer, begin, way_to_buy)
        if first_day is None:
            first_day = teller.buy(customer, begin + timedelta(days=95), "plainly")
        if number == 15:
            why = "Saisie en double." if self.reseller.language == "fr" else "Entered twice."
            teller.tell("crm", "invitation.withdraw", path, teller.office(begin + timedelta(days=40)), reason=why)
        if first_day is None:
            return
        start = begin if PROGRAMMES[self.reseller.policy].first_term_from_authorization else first_day
        teller.live(
            customer, first_day + timedelta(days=6), anniversary or later(start, 12), (anniversary or start).day, 110
        )

    # --- what happens beside --------------------------------------------------------------------------------------

    def _now_and_then(self) -> None:
        teller, chance = self.teller, self.chance
        fr = self.reseller.language == "fr"
        members = chance.shuffled(self.customers[:MEMBERS])

        def some_day() -> datetime:
            return teller.office(START + timedelta(days=chance.number(10, (END - START).days - 20)))

        notes = (
            (
                "Préfère être appelé le matin.",
                "Demande un devis pour deux licences de plus.",
                "Nouvelle comptable, voir les copies.",
                "Rendez-vous annuel fait.",
            )
            if fr
            else (
                "Prefers a call in the morning.",
                "Asked for a quote for two more.",
                "New accountant, see the copies.",
                "Yearly meeting held.",
            )
        )
        for customer in (members * 2)[:90]:
            teller.tell("crm", "customer.note", f"customers/{customer.ref}", some_day(), {"text": chance.one_of(notes)})
        for customer in members[:9]:
            domain = customer.contact_email.partition("@")[2]
            people = [{"name": "Comptabilité" if fr else "Accounts", "email": f"accounts@{domain}"}]
            teller.tell(
                "crm", "customer.set_recipients", f"customers/{customer.ref}", some_day(), {"recipients": people}
            )
        for customer in members[9:14]:
            teller.tell(
                "crm", "customer.add_offer_type", f"customers/{customer.ref}", some_day(), {"offer_type": "enterprise"}
            )
        for customer in members[14:16]:  # a rule of the programme: refused
            data = {"company": f"{customer.company} {'Groupe' if fr else 'Group'}"[:80]}
            teller.tell("crm", "customer.correct", f"customers/{customer.ref}", some_day(), data)
        numbers = (
            {"order_due_days": 21}
            if PROGRAMMES[self.reseller.policy].due
            else {"renewal_reminder_in_the_middle": False}
        )
        teller.tell("crm", "customer.override_policy", f"customers/{members[16].ref}", some_day(), {"numbers": numbers})
        for customer in members[17:20]:
            data = {
                "address": customer.contact_email,
                "subject_line": "Licences Adobe" if fr else "Adobe licences",
                "diagnosis": chance.one_of(
                    ("550 5.1.1 user unknown", "552 5.2.2 mailbox full", "550 5.1.1 no such mailbox")
                ),
            }
            teller.tell("mail", "customer.learn_of_bounce", f"customers/{customer.ref}", some_day(), data)
        contradicted = {"vip_number": chance.hexadecimal(20)}  # another number for a known member: an incident
        teller.tell("adobe", "customer.record_number", f"customers/{members[20].ref}", some_day(), contradicted)
        for customer in [each for each in members if each.owner == self.reseller.managers[-1]][:8]:  # somebody moves on
            at = teller.office(date(2025, 3, 31))
            teller.tell("crm", "customer.assign", f"customers/{customer.ref}", at, {"owner": self.reseller.managers[0]})
        # A payment for a purchase order that nobody ever made.
        typo = {"order_number": teller.adobe_number()}
        teller.tell(
            "adobe",
            "purchase_authorization.pay",
            f"authorizations/{'BC' if fr else 'PO'}-2O25-{chance.number(100, 400)}",
            some_day(),
            typo,
        )

    def _left_open(self) -> None:
        """What is under way on the last day: some of it late, some already without licences."""
        teller, chance, programme = self.teller, self.chance, PROGRAMMES[self.reseller.policy]
        quiet = END - timedelta(days=70)
        busy = {
            event.subject.split("/")[1] for event in teller.told if event.at.date() > quiet and "/" in event.subject
        }
        idle = [each for each in chance.shuffled(self.customers) if each.ref not in busy and teller.holds(each, END)]
        due = programme.due or 6
        for number, customer in enumerate(idle[:11]):
            days = chance.number(1, due - 2)
            if programme.due is not None and programme.deactivated is not None and number < 6:
                days = due + (chance.number(2, 10) if number < 4 else programme.deactivated + chance.number(1, 5))
            teller.start(customer, END - timedelta(days=days), by_customer=number % 4 == 3)

    # --- ids, repeats ---------------------------------------------------------------------------------------------

    def _number(self) -> None:
        """Ids as each system counts them."""
        counts: dict[str, int] = {}
        for event in sorted(self.teller.told, key=lambda each: (each.at, each.source, each.type, each.subject)):
            counts[event.source] = counts.get(event.source, 0) + 1
            event.id = f"{event.source.partition('.')[0]}-{counts[event.source]:05d}"

    def _twice(self) -> None:
        """Some arrive twice; of a few the second has another body."""
        told = sorted(self.teller.told, key=_by_delivery)
        again: list[Told] = []
        for event in told:
            if self.chance.happens(3.5):
                wait = self.chance.weighted({"minutes": 55, "hours": 30, "days": 15})
                delivered = event.delivered + timedelta(
                    **{wait: self.chance.number(2, 40 if wait == "minutes" else 20)}
                )
                if delivered.date() < END:
                    again.append(replace(event, delivered=delivered))
        changed = [event for event in told if event.type == "purchase_authorization.create"][20:90:40]
        for event in changed:
            lines = [{**line, "quantity": line["quantity"] + 1} for line in event.data["lines"]]
            again.append(
                replace(event, data={**event.data, "lines": lines}, delivered=event.delivered + timedelta(hours=2))
            )
        self.teller.told = sorted([*told, *again], key=_by_delivery)


def _by_delivery(event: Told) -> tuple[datetime, str, str]:
    return event.delivered, event.source, event.id
