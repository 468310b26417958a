"""The three resellers of the year: their teams, their customers' countries, and what their year must show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from people import plain


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
        ways_to_buy=(
            *(way for way in COMMON if way != "from_the_wrong_list"),
            "and_let_expire",
            "and_let_expire",
            "just_in_time",
            *RETURNS,
        ),
        ways_to_renew=("by_itself", "silently", "silently", "not_wanted", "in_full", "in_part"),
        overrides={},
    ),
)
