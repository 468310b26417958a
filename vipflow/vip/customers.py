"""Customers and the company that sells to them: the reseller's settings, offer types, warnings before an invitation."""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

from vipflow.case import View
from vipflow.vip.fields import Language
from vipflow.vip.numbers import DEFAULT_POLICY
from vipflow.vip.records import Customer
from vipflow.vip.wording import says
from vipflow.workflow import Text

MailPreference: TypeAlias = Literal["single", "daily"]
"""`daily`: what is to be told of a day's customers comes in one mail, the next office morning."""
Role: TypeAlias = Literal["viewer", "account_manager", "support", "operator", "admin"]

OFFER_TYPES: Final[Mapping[str, Text]] = {
    "teams": Text("équipe", "teams"),
    "enterprise": Text("entreprise", "enterprise"),
    "education": Text("éducation", "education"),
}
"""Which products a customer is shown in the Admin Console. Any may be added later. [seed]"""

SHORT_COMPANY_NAME: Final = 4  # [adobe] shorter ones are allowed, with a warning


class Member(msgspec.Struct, frozen=True):
    """A member of the reseller's staff."""

    name: str
    email: str
    role: Role = "account_manager"
    language: Language = "fr"
    phone: str | None = None
    active: bool = True
    mails: MailPreference = "single"


class Reseller(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a reseller: what stands in `view.tenant.settings`. `team` is keyed by e-mail."""

    policy: str = DEFAULT_POLICY
    overrides: dict[str, Any] = {}
    sender: str = ""
    phone: str | None = None
    signature: str = ""
    invitation_link: str | None = None
    logo: str | None = None
    colour: str | None = None
    team: dict[str, Member] = {}

    def member(self, email: str) -> Member | None:
        """The member of that address who works here now."""
        found = self.team.get(email)
        return found if found is not None and found.active else None

    def responsible(self, owner: str) -> Member | None:
        """Who answers for `owner`: he himself; an admin where he is gone; None in a company without team."""
        found = self.member(owner)
        if found is None:
            found = next((each for each in self.team.values() if each.active and each.role == "admin"), None)
        return found


def reseller_of(view: View) -> Reseller:
    """The settings of the reseller whose customer this is."""
    settings = view.tenant.settings
    return settings if isinstance(settings, Reseller) else Reseller()


def customer_of(view: View) -> Customer | None:
    """The customer's facts; None while it is being opened."""
    case = view.cases.get(view.subject)
    if case is None:
        return None
    facts: Customer = case.facts
    return facts


def provisional_number(reference: str) -> str:
    """The VIP number of ours that stands until Adobe's is recorded; nobody can take it for Adobe's. [seed] at once

    >>> provisional_number("C-7K3F-9QTD")
    'VIP-PROV-7K3F-9QTD'
    """
    return f"VIP-PROV-{reference.partition('-')[2]}"


def invitation_state(view: View) -> str:
    """Where the customer's invitation stands; "accepted" for an adopted member, who needed none."""
    case = view.only("invitation")
    if case is not None:
        return case.state
    customer = customer_of(view)
    if customer is not None and customer.adopted:
        return "accepted"
    if view.tally.get("invitation.accepted"):
        return "accepted"
    return "withdrawn" if view.tally.get("invitation.withdrawn") else ""


def has_accepted(view: View) -> bool:
    """Whether the customer has accepted the programme's terms: only then can its licences be assigned. [seed]"""
    return invitation_state(view) == "accepted"


def ever(view: View, workflow: str, *, except_in: tuple[str, ...] = ()) -> bool:
    """Whether the customer has, or ever had, a case of that workflow, leaving out those now in `except_in`."""
    if any(case.state not in except_in for case in view.of(workflow)):
        return True
    return any(
        count > 0 and name.partition(".")[0] == workflow and name.partition(".")[2] not in except_in
        for name, count in view.tally.items()
    )


# --- before inviting -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=16384)
def folded(name: str) -> str:
    """A name as it is searched: small letters, without accents, single spaces.

    >>> folded("Élan  Vert SARL")
    'elan vert sarl'
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return " ".join(bare.split())


# Two customers with addresses at one of these have nothing in common. The list is ours.
_PUBLIC = """
    gmail.com googlemail.com outlook.com outlook.fr hotmail.com hotmail.fr live.com live.fr msn.com yahoo.com yahoo.fr
    icloud.com me.com aol.com free.fr orange.fr wanadoo.fr sfr.fr laposte.net bbox.fr neuf.fr gmx.com gmx.net gmx.fr
    proton.me protonmail.com mail.com
"""
PUBLIC_MAIL_DOMAINS: Final = frozenset(_PUBLIC.split())


def email_domain(email: str) -> str:
    """The domain of an address, in small letters."""
    return email.rpartition("@")[2].lower()


def company_domain(email: str) -> str | None:
    """The domain by which an address tells its company; None for the mail providers that everybody uses."""
    domain = email_domain(email)
    return None if domain in PUBLIC_MAIL_DOMAINS else domain


def warnings_before_inviting(company: str, look_alikes: int = 0) -> tuple[Text, ...]:
    """What to say before a customer is invited; none of it forbids.

    `look_alikes`: how many customers of the same country have the same folded name or company domain.
    """
    found = [UNCHANGEABLE]
    if len(company.strip()) < SHORT_COMPANY_NAME:
        found.append(
            says(
                "Le nom de la société est très court : vérifiez-le.",
                "The company's name is very short: check it.",
            )
        )
    if look_alikes:
        found.append(
            says(
                "Une société semblable figure déjà parmi vos clients (même nom ou même domaine, même pays). "
                "Deux adhésions ne peuvent pas être réunies plus tard.",
                "A company like this one is already among your customers (same name or domain, same country). "
                "Two memberships cannot be merged later.",
            )
        )
    return tuple(found)


UNCHANGEABLE: Final = says(
    "Les informations du client ne peuvent pas être modifiées après l'envoi : assurez-vous qu'elles ne contiennent "
    "aucune erreur.",
    "The customer's information cannot be changed after sending: make sure that it contains no mistake.",
)
