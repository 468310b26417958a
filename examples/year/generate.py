"""Writes the example year: three made-up resellers, their members of today as CSV, eighteen months of events.

    python examples/year/generate.py [FOLDER]     default: beside this file; the same bytes every time

Each line of `events/*.jsonl` is a CloudEvent with one attribute more, `deliveredat`: when it reaches the reseller's
vipflow. What happened (`time`) and what arrives are two things: some lines come late, some twice, some before the one
that they speak of.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from people import Chance, Customer, Town, plain
from stories import DIRECT, END, PROGRAMMES, START, Teller, Told, in_utc, later

MEMBERS, INVITED = 60, 40


@dataclass(frozen=True)
class Person:
    name: str
    role: str
    language: str
    phone: str | None = None


@dataclass(frozen=True)
class Reseller:
    """One of the three, as `resellers.toml` says it, and what its world is like."""

    key: str
    name: str
    language: str
    zone: str
    policy: str
    domain: str
    phone: str
    signature: str
    letter: str
    countries: dict[str, float]
    team: Sequence[Person]
    encoding: str
    separator: str
    ways_to_buy: Sequence[str]
    ways_to_renew: Sequence[str]
    overrides: dict[str, int]

    def email(self, person: Person) -> str:
        return f"{plain(person.name).replace('-', '.', 1)}@{self.domain}"

    @property
    def managers(self) -> list[str]:
        return [self.email(person) for person in self.team if person.role == "account_manager"]


RETURNS = ("and_return", "and_return_some", "and_return_in_vain")
LATE = (
    "late_and_ask_for_more",
    "with_a_promise",
    "with_an_extension",
    "and_learn_of_it_late",
    "after_deactivation",
    "and_never_pay",
    "late",
)
COMMON = (
    "in_the_console",
    "by_payment_alone",
    "and_pay_first",
    "and_cancel",
    "and_cancel_too_late",
    "after_a_refusal",
    "in_the_wrong_order",
    "from_the_wrong_list",
    "and_be_restored",
    "and_take_back",
    "directly",
)

RESELLERS = (
    Reseller(
        key="rhone",
        name="Rhône Informatique",
        language="fr",
        zone="Europe/Paris",
        policy="vip-2019",
        domain="rhone-informatique.example",
        phone="+33 4 65 00 12 30",
        signature="Rhône Informatique\n12 quai Perrache, 69002 Lyon",
        letter="R",
        countries={"FR": 82, "CH": 12, "BE": 6},
        team=(
            Person("Hélène Marchand", "admin", "fr", "+33 4 65 00 12 31"),
            Person("Loïc Le Goff", "account_manager", "fr", "+33 4 65 00 12 32"),
            Person("Noémie d’Estienne", "account_manager", "fr", "+33 4 65 00 12 33"),
            Person("Karim Benali", "account_manager", "fr"),
            Person("Agnès Thévenot", "support", "fr", "+33 4 65 00 12 39"),
        ),
        encoding="cp1252",
        separator=";",
        ways_to_buy=(*COMMON, *LATE, *RETURNS),
        ways_to_renew=("in_full", "in_part", "in_two_steps", "not_at_all", "by_report", "learnt_late", "too_early"),
        overrides={},
    ),
    Reseller(
        key="brabant",
        name="Brabant Graphique",
        language="fr",
        zone="Europe/Brussels",
        policy="vip-2024",
        domain="brabant-graphique.example",
        phone="+32 2 555 01 40",
        signature="Brabant Graphique\nVotre équipe licences / Your licensing team",
        letter="B",
        countries={"BE": 66, "LU": 10, "NL": 12, "DE": 12},
        team=(
            Person("Charlotte Wauters", "admin", "fr", "+32 2 555 01 41"),
            Person("Gaëtan Lambrechts", "account_manager", "fr", "+32 2 555 01 42"),
            Person("Anneleen Peeters", "account_manager", "en", "+32 2 555 01 43"),
            Person("Thibault Henrard", "support", "fr"),
            Person("Joris De Smet", "operator", "en"),
            Person("Marie-Paule Claes", "viewer", "fr"),
        ),
        encoding="utf-8-sig",
        separator=";",
        ways_to_buy=(*COMMON, *LATE, *RETURNS),
        ways_to_renew=("in_full", "in_part", "in_two_steps", "not_at_all", "by_report", "learnt_late", "too_early"),
        overrides={"invitation_life_days": 90},
    ),
    Reseller(
        key="thames",
        name="Thamesside Creative Supply",
        language="en",
        zone="Europe/London",
        policy="vip-marketplace",
        domain="thamesside.example",
        phone="+44 20 7946 0150",
        signature="Thamesside Creative Supply\n4 Dock Street, London E1",
        letter="T",
        countries={"GB": 74, "IE": 12, "SE": 6, "PL": 5, "PT": 3},
        team=(
            Person("Harriet Thackeray", "admin", "en", "+44 20 7946 0151"),
            Person("Kwame Okafor", "account_manager", "en", "+44 20 7946 0152"),
            Person("Siobhán O’Donnell", "account_manager", "en", "+44 20 7946 0153"),
            Person("Dafydd Llewellyn", "support", "en"),
        ),
        encoding="utf-8",
        separator=",",
        ways_to_buy=(*(way for way in COMMON if way != "from_the_wrong_list"), "and_let_expire", "and_let_expire", "just_in_time", *RETURNS),
        ways_to_renew=("by_itself", "silently", "silently", "not_wanted", "in_full", "in_part"),
        overrides={},
    ),
)


class Year:
    """One reseller's eighteen months."""

    def __init__(self, reseller: Reseller) -> None:
        self.reseller = reseller
        self.chance = Chance(f"vipflow example year, {reseller.key}")
        self.zone = ZoneInfo(reseller.zone)
        self.teller = Teller(
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
        self.members: list[dict[str, Any]] = []
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
            raise AssertionError(f"{self.reseller.key}: nobody left for {self.teller.must_buy} {self.teller.must_renew}")
        self._number()
        self._twice()

    # --- existing members -----------------------------------------------------------------------------------------

    def _member(self, number: int) -> None:
        customer = self.town.found()
        if number == 0:
            customer.company, customer.segment = self._long_name(), "commercial"
            customer.contact_email = f"{customer.contact_email.partition('@')[0]}@{plain(customer.company)[:40].strip('-')}.example"
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
        row = {"customer": customer, "anniversary": anniversary, "anchor": anchor if number == 7 else None, "licences": lines, "open": None, "renewed": {}}
        closes = anniversary + timedelta(days=PROGRAMMES[self.reseller.policy].closes)
        if closes < START:  # expired before we came
            self.members.append(row)
            self.teller.gains(customer, START - timedelta(days=1), {sku: -quantity for sku, quantity in lines.items()})
            if self.chance.happens(60):
                self.teller._come_back(customer, START + timedelta(days=self.chance.number(9, 60)), 120)
            return
        if number % 9 == 4:
            row["open"] = self._open_authorization(customer, number)
        if number % 20 == 11:
            # Invited last week by other means: nothing ordered yet.
            row |= {"anniversary": None, "anchor": None, "licences": {}}
            self.teller.ledger[customer.own] = []
            first = self.teller.buy(customer, START + timedelta(days=self.chance.number(4, 20)), "plainly")
            if first is not None:
                self.teller.live(customer, first + timedelta(days=5), later(first, 12), first.day, 110)
            self.members.append(row)
            return
        self.members.append(row)
        self.teller.live(customer, START + timedelta(days=1 if row["open"] is None else 40), anniversary, anchor, 115)

    def _long_name(self) -> str:
        name = {
            "rhone": "Société coopérative d’impression, de reliure et d’édition d’art du Haut-Jura SCP",
            "brabant": "Coopérative wallonne et bruxelloise des métiers du livre, de l’affiche et décors",
            "thames": "The Worshipful Company of Illuminators, Engravers, Binders and Printers of Poplar",
        }[self.reseller.key]
        return name[:80]

    def _open_authorization(self, customer: Customer, number: int) -> dict[str, Any]:
        """An authorization that is under way on the day of the import, and what becomes of it."""
        programme = PROGRAMMES[self.reseller.policy]
        lines = self.teller.some_lines(customer)
        created = START - timedelta(days=self.chance.number(2, 5) if programme.due is None else self.chance.number(4, programme.due + 6))
        po = f"{'BC' if self.reseller.language == 'fr' else 'PO'}-2024-{number + 20:03d}"
        found: dict[str, Any] = {"lines": lines, "created_on": created, "po_number": po, "due_on": None, "ordered": False, "order_number": None}
        if number % 2:
            found |= {"ordered": True, "order_number": f"7{self.chance.number(10**8, 10**9 - 1)}"}
            at = self.teller.any_time(START + timedelta(days=self.chance.number(1, 3)))
            self.teller.tell("adobe", "order.accept", f"orders/{found['order_number']}", at)
            self.teller.gains(customer, at.date(), lines)
            return found
        if programme.due is not None and self.chance.happens(40):
            found["due_on"] = START + timedelta(days=12)  # Adobe granted another day
        day = START + timedelta(days=self.chance.number(1, 8) if programme.due is not None else 1)
        self.teller._ordered(customer, self.teller.office(day), lines, po)
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
            "offer_types": ["enterprise" if customer.large else "education" if customer.segment == "education" else "teams"],
            "owner": customer.owner,
        }
        if customer.region:
            data["region"] = customer.region
        if chance.happens(12):
            data["recipients"] = [{"name": "Comptabilité" if customer.language == "fr" else "Accounts", "email": customer.contact_email.replace(customer.contact_email.partition("@")[0], "accounts")}]
        anniversary = None
        if number % 13 == 5:
            anniversary = later(at.date(), 12).replace(day=1) + timedelta(days=chance.number(70, 150))
            data["anniversary"] = anniversary.isoformat()
        known_number = number % 5 == 3
        if known_number:
            data["vip_number"] = customer.vip_number
        if number == 4:  # somebody who left long ago is named: refused, and sent again
            teller.tell("crm", "customer.invite", path, at - timedelta(minutes=20), data | {"owner": f"ancien@{self.reseller.domain}"})
        slow = timedelta(days=4, hours=2) if number == 9 else None
        teller.tell("crm", "customer.invite", path, at, data, delay=slow)
        if not known_number:
            recorded = at + timedelta(hours=chance.number(2, 30))
            teller.tell("adobe", "customer.record_number", path, recorded, {"vip_number": customer.vip_number})
        self._answer(customer, at, number, anniversary)

    def _answer(self, customer: Customer, at: datetime, number: int, anniversary: date | None) -> None:
        """What the customer makes of the invitation."""
        teller, chance, path = self.teller, self.chance, f"customers/{customer.own}"
        way = {2: "withdrawn", 6: "never", 8: "resent", 12: "after_all", 14: "given_up", 17: "reminded", 20: "never"}.get(number) or chance.weighted(
            {"soon": 72, "slowly": 16, "never": 7, "resent": 3, "withdrawn": 2}
        )
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
                why = "Projet abandonné par le client." if self.reseller.language == "fr" else "The customer gave the project up."
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
        way_to_buy = teller.way_to_buy(customer, steady=number % 4 != 0)
        first_day = teller.buy(customer, begin, way_to_buy)
        if first_day is None:
            first_day = teller.buy(customer, begin + timedelta(days=95), "plainly")
        if number == 15:
            why = "Saisie en double." if self.reseller.language == "fr" else "Entered twice."
            teller.tell("crm", "invitation.withdraw", path, teller.office(begin + timedelta(days=40)), reason=why)
        if first_day is None:
            return
        start = begin if PROGRAMMES[self.reseller.policy].first_term_from_authorization else first_day
        teller.live(customer, first_day + timedelta(days=6), anniversary or later(start, 12), (anniversary or start).day, 110)

    # --- what happens beside --------------------------------------------------------------------------------------

    def _now_and_then(self) -> None:
        teller, chance = self.teller, self.chance
        fr = self.reseller.language == "fr"
        members = chance.shuffled(self.customers[:MEMBERS])

        def some_day() -> datetime:
            return teller.office(START + timedelta(days=chance.number(10, (END - START).days - 20)))

        notes = (
            ("Préfère être appelé le matin.", "Demande un devis pour deux licences de plus.", "Nouvelle comptable, voir les copies.", "Rendez-vous annuel fait.")
            if fr
            else ("Prefers a call in the morning.", "Asked for a quote for two more.", "New accountant, see the copies.", "Yearly meeting held.")
        )
        for customer in (members * 2)[:90]:
            teller.tell("crm", "customer.note", f"customers/{customer.ref}", some_day(), {"text": chance.one_of(notes)})
        for customer in members[:9]:
            domain = customer.contact_email.partition("@")[2]
            people = [{"name": "Comptabilité" if fr else "Accounts", "email": f"accounts@{domain}"}]
            teller.tell("crm", "customer.set_recipients", f"customers/{customer.ref}", some_day(), {"recipients": people})
        for customer in members[9:14]:
            teller.tell("crm", "customer.add_offer_type", f"customers/{customer.ref}", some_day(), {"offer_type": "enterprise"})
        for customer in members[14:16]:  # a rule of the programme: refused
            data = {"company": f"{customer.company} {'Groupe' if fr else 'Group'}"[:80]}
            teller.tell("crm", "customer.correct", f"customers/{customer.ref}", some_day(), data)
        numbers = {"order_due_days": 21} if PROGRAMMES[self.reseller.policy].due else {"renewal_reminder_in_the_middle": False}
        teller.tell("crm", "customer.override_policy", f"customers/{members[16].ref}", some_day(), {"numbers": numbers})
        for customer in members[17:20]:
            data = {
                "address": customer.contact_email,
                "subject_line": "Licences Adobe" if fr else "Adobe licences",
                "diagnosis": chance.one_of(("550 5.1.1 user unknown", "552 5.2.2 mailbox full", "550 5.1.1 no such mailbox")),
            }
            teller.tell("mail", "customer.learn_of_bounce", f"customers/{customer.ref}", some_day(), data)
        contradicted = {"vip_number": chance.hexadecimal(20)}  # another number for a known member: an incident
        teller.tell("adobe", "customer.record_number", f"customers/{members[20].ref}", some_day(), contradicted)
        for customer in [each for each in members if each.owner == self.reseller.managers[-1]][:8]:  # somebody moves on
            at = teller.office(date(2025, 3, 31))
            teller.tell("crm", "customer.assign", f"customers/{customer.ref}", at, {"owner": self.reseller.managers[0]})
        # A payment for a purchase order that nobody ever made.
        typo = {"order_number": f"7{chance.number(10**8, 10**9 - 1)}"}
        teller.tell("adobe", "purchase_authorization.pay", f"authorizations/{'BC' if fr else 'PO'}-2O25-{chance.number(100, 400)}", some_day(), typo)

    def _left_open(self) -> None:
        """What is under way on the last day: some of it late, some already without licences."""
        teller, chance, programme = self.teller, self.chance, PROGRAMMES[self.reseller.policy]
        quiet = END - timedelta(days=70)
        busy = {event.subject.split("/")[1] for event in teller.told if event.at.date() > quiet and "/" in event.subject}
        idle = [each for each in chance.shuffled(self.customers) if each.ref not in busy and teller.holds(each, END)]
        due = programme.due or 6
        for number, customer in enumerate(idle[:11]):
            days = chance.number(1, due - 2)
            if programme.due is not None and programme.deactivated is not None and number < 6:
                days = due + (chance.number(2, 10) if number < 4 else programme.deactivated + chance.number(1, 5))
            teller._start(customer, END - timedelta(days=days), by_customer=number % 4 == 3)

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
                delivered = event.delivered + timedelta(**{wait: self.chance.number(2, 40 if wait == "minutes" else 20)})
                if delivered.date() < END:
                    again.append(replace(event, delivered=delivered))
        changed = [event for event in told if event.type == "purchase_authorization.create"][20:90:40]
        for event in changed:
            lines = [{**line, "quantity": line["quantity"] + 1} for line in event.data["lines"]]
            again.append(replace(event, data={**event.data, "lines": lines}, delivered=event.delivered + timedelta(hours=2)))
        self.teller.told = sorted([*told, *again], key=_by_delivery)


def _by_delivery(event: Told) -> tuple[datetime, str, str]:
    return event.delivered, event.source, event.id


# --- files --------------------------------------------------------------------------------------------------------


def events_file(year: Year) -> str:
    lines = []
    for event in year.teller.told:
        said: dict[str, Any] = {
            "specversion": "1.0",
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": in_utc(event.at) if event.source.startswith("adobe.") else event.at.isoformat(),
            "deliveredat": in_utc(event.delivered),
        }
        if event.reason is not None:
            said["reason"] = event.reason
        if event.data:
            said["data"] = event.data
        lines.append(json.dumps(said, ensure_ascii=False) + "\n")
    return "".join(lines)


def members_file(year: Year) -> str:
    """The customers as the reseller's own software exports them: each has its columns, its dates, its way to list licences."""
    return {"rhone": _one_row_each, "brabant": _one_row_per_product, "thames": _one_row_each_in_english}[year.reseller.key](year)


COUNTRIES_IN_FRENCH = {"FR": "France", "BE": "Belgique", "CH": "Suisse", "LU": "Luxembourg", "NL": "Pays-Bas", "DE": "Allemagne"}
SEGMENTS_IN_FRENCH = {"commercial": "Commercial", "government": "Secteur public", "education": "Éducation"}


def _one_row_each(year: Year) -> str:
    rows: list[list[Any]] = [
        [
            "Code client", "Numéro VIP", "Raison sociale", "Segment de marché", "Adresse", "Code postal", "Ville", "Pays",
            "Contact principal", "Adresse e-mail", "Langue", "Type d'offre", "Géré par", "Date anniversaire", "Jour d'ancrage",
            "Licences", "Dernière relance",
        ]
    ]  # fmt: skip
    for row in year.members:
        customer: Customer = row["customer"]
        rows.append(
            [
                customer.own, customer.vip_number, customer.company, SEGMENTS_IN_FRENCH[customer.segment], customer.address,
                customer.postal_code.lstrip("0"),  # a spreadsheet took it for a number
                customer.city, COUNTRIES_IN_FRENCH[customer.country], customer.contact_name, customer.contact_email,
                "Français" if customer.language == "fr" else "Anglais",
                "Équipe, Entreprise" if customer.large else "Équipe", customer.owner, _day(row["anniversary"], "%d/%m/%Y"),
                row["anchor"] or "", " | ".join(f"{sku} = {quantity}" for sku, quantity in row["licences"].items()), "",
            ]
        )  # fmt: skip
    return _table(year, rows)


def _one_row_per_product(year: Year) -> str:
    rows: list[list[Any]] = [
        [
            "N° VIP", "Référence client", "Société", "Segment", "Langue", "Contact", "E-mail", "Rue", "CP", "Localité", "Pays",
            "Gestionnaire de compte", "Date d'anniversaire", "Jour d'ancrage", "Produit", "Quantité",
        ]
    ]  # fmt: skip
    for row in year.members:
        customer: Customer = row["customer"]
        for sku, quantity in row["licences"].items() or [("", "")]:
            rows.append(
                [
                    customer.vip_number, customer.own, customer.company, customer.segment, customer.language,
                    customer.contact_name, customer.contact_email, customer.address, customer.postal_code, customer.city,
                    customer.country, customer.owner, _day(row["anniversary"], "%d.%m.%Y"), row["anchor"] or "", sku, quantity,
                ]
            )  # fmt: skip
    return _table(year, rows)


def _one_row_each_in_english(year: Year) -> str:
    rows: list[list[Any]] = [
        [
            "Customer number", "VIP number", "Company name", "Market segment", "Address line 1", "Town", "Postcode", "State",
            "Country code", "Primary contact", "Contact e-mail", "Language", "Account manager", "Anniversary date", "Anchor day",
            "Licences",
        ]
    ]  # fmt: skip
    for row in year.members:
        customer: Customer = row["customer"]
        rows.append(
            [
                customer.own, customer.vip_number, customer.company, customer.segment, customer.address, customer.city,
                customer.postal_code, customer.region or "", customer.country, customer.contact_name, customer.contact_email,
                customer.language, customer.owner, _day(row["anniversary"], "%Y-%m-%d"), row["anchor"] or "",
                " ".join(f"{quantity}x{sku}" for sku, quantity in row["licences"].items()),
            ]
        )  # fmt: skip
    return _table(year, rows)


def authorizations_file(year: Year) -> str:
    """What is open with the members on the day of the import: a row per product."""
    french = year.reseller.language == "fr"
    rows: list[list[Any]] = [
        ["Numéro VIP", "Créée le", "Bon de commande", "Échéance", "Commandée", "Numéro de commande Adobe", "SKU", "Quantité"]
        if french
        else ["VIP number", "Created on", "PO number", "Due on", "Ordered", "Adobe order number", "SKU", "Quantity"]
    ]
    form = "%d/%m/%Y" if french else "%Y-%m-%d"
    for row in year.members:
        found = row["open"]
        if found is None:
            continue
        ordered = ("oui" if french else "yes") if found["ordered"] else ("non" if french else "no")
        for sku, quantity in found["lines"].items():
            rows.append(
                [
                    row["customer"].vip_number, _day(found["created_on"], form), found["po_number"], _day(found["due_on"], form),
                    ordered, found["order_number"] or "", sku, quantity,
                ]
            )  # fmt: skip
    return _table(year, rows)


def _table(year: Year, rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=year.reseller.separator, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _day(day: date | None, form: str) -> str:
    return day.strftime(form) if day is not None else ""


def resellers_file() -> str:
    first = datetime.combine(START, datetime.min.time(), ZoneInfo("Europe/Paris")) + timedelta(hours=8)
    last = datetime.combine(END, datetime.min.time(), ZoneInfo("Europe/Paris")) + timedelta(hours=12)
    lines = [
        "# The three resellers of the example year: made up, as everybody in it. Written by generate.py.",
        "",
        f"starts = {in_utc(first)}",
        f"ends = {in_utc(last)}",
    ]
    for reseller in RESELLERS:
        lines += ["", "[[resellers]]"]
        lines += [f"{name} = {_toml(getattr(reseller, name))}" for name in ("key", "name", "language", "zone", "policy", "phone")]
        lines += [f"sender = {_toml(f'licences@{reseller.domain}')}", f"signature = {_toml(reseller.signature)}"]
        if reseller.overrides:
            numbers = ", ".join(f"{name} = {number}" for name, number in reseller.overrides.items())
            lines.append(f"overrides = {{ {numbers} }} # what the policy itself leaves out")
        lines += [f"members = {_toml(f'members/{reseller.key}.csv')}"]
        lines += [f"authorizations = {_toml(f'members/{reseller.key}-authorizations.csv')}"]
        lines += [f"events = {_toml(f'events/{reseller.key}.jsonl')}"]
        for person in reseller.team:
            lines += ["", "[[resellers.team]]", f"name = {_toml(person.name)}", f"email = {_toml(reseller.email(person))}"]
            lines += [f"role = {_toml(person.role)}", f"language = {_toml(person.language)}"]
            if person.phone:
                lines.append(f"phone = {_toml(person.phone)}")
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def generate(folder: Path) -> None:
    """Writes every file of the year into `folder`."""
    files: dict[str, bytes] = {"resellers.toml": resellers_file().encode()}
    for reseller in RESELLERS:
        year = Year(reseller)
        year.pass_by()
        files[f"members/{reseller.key}.csv"] = members_file(year).encode(reseller.encoding)
        files[f"members/{reseller.key}-authorizations.csv"] = authorizations_file(year).encode(reseller.encoding)
        files[f"events/{reseller.key}.jsonl"] = events_file(year).encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
