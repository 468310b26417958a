"""Sample contexts of every template: invented people and companies, all facts told, then each way a fact may be absent.

`vipflow check` renders every template with them, and so do the tests. Dates follow `vip-2024`.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from vipflow.delivery.digest import Item
from vipflow.delivery.html import Brand

Context = Mapping[str, Any]

RESELLER = {
    "name": "Atelier Numérique",
    "phone": "01 99 00 12 00",
    "signature": "L’équipe licences\nAtelier Numérique, Nantes",
}
_MANAGER = {
    "name": "Hélène Marchetti",
    "email": "helene.marchetti@atelier-numerique.example",
    "phone": "01 99 00 12 34",
}
_CUSTOMER = {
    "company": "Studio Kerguelen",
    "reference": "C-7K3F-9QTD",
    "vip_number": "4D92A7C61B0E5F38",
    "vip_number_provisional": False,
}
_LINES = [
    {"product": "Photoshop for Teams", "sku": "65305156CA01A12", "quantity": 5},
    {"product": "Creative Cloud All Apps for Teams", "sku": "65304579CA01A12", "quantity": 12},
    {"product": "Acrobat Pro for Teams", "sku": "65304521CA01A12", "quantity": 1},
]
_SOME = [{"product": "Creative Cloud All Apps for Teams", "sku": "65304579CA01A12", "quantity": 10}]

_TO_CUSTOMER = {
    "customer": _CUSTOMER,
    "contact": {"name": "Camille Le Goff", "email": "camille.legoff@studio-kerguelen.example"},
    "person": {"name": "Camille Le Goff"},
    "reseller": RESELLER,
    "manager": _MANAGER,
}
_TO_MANAGER = {**_TO_CUSTOMER, "person": {"name": "Hélène Marchetti"}}
_AUTHORIZATION = {"reference": "PA-4M2X-8TQH", "po_number": "BC-2025-0118", "lines": _LINES}
_RETURN = {"reference": "R-8C5N-2WKE", "order_number": "7023914456", "lines": [_LINES[0]]}
_MEMBERSHIP = {"reference": "C-7K3F-9QTD", "anniversary": "2026-03-14"}
_INVITATION = {"reference": "C-7K3F-9QTD"}
_LINK = "https://adobe.example/vip/join/atelier-numerique"
_LATE = {"due_on": "2025-03-16", "suspended_from": "2025-04-01"}
_WINDOW = {
    "licences": _LINES,
    "window_opens": "2026-02-12",
    "window_closes": "2026-03-14",
    "renews_by_itself": False,
}
_REMINDER = {
    "remaining": _LINES,
    "window_closes": "2026-03-14",
    "last_week": False,
    "last_call": False,
    "renews_by_itself": False,
}
_RENEWAL = {"renewed": _SOME, "renewed_on": "2026-02-20", "next_anniversary": "2027-03-14"}
_ORDER = {
    "created_on": "2025-03-02",
    "due_on": "2025-03-16",
    "overdue": False,
    "expires_at": None,
    "seat_duration": {"unit": "months", "count": 11},
}

FACTS: Mapping[str, Context] = {
    "invitation": {
        **_TO_CUSTOMER,
        **_INVITATION,
        "segment": {"fr": "commercial", "en": "commercial"},
        "address_lines": ["12 quai de la Fosse", "44000 Nantes", "Pays de la Loire"],
        "country": {"fr": "France", "en": "France"},
        "offer_types": {"fr": "équipe, entreprise", "en": "teams, enterprise"},
        "anniversary": "2026-09-01",
        "invitation_link": _LINK,
        "expires_on": "2025-05-31",
    },
    "invitation_reminder": {
        **_TO_CUSTOMER,
        **_INVITATION,
        "sent_on": "2025-03-01",
        "invitation_link": _LINK,
        "expires_on": "2025-05-31",
    },
    "products_added": {
        **_TO_CUSTOMER,
        **_AUTHORIZATION,
        "created_on": "2025-03-02",
        "due_on": "2025-03-16",
        "expires_at": None,
        "accepted": True,
        "invitation_link": None,
    },
    "payment_reminder": {**_TO_CUSTOMER, **_AUTHORIZATION, **_LATE},
    "payment_overdue": {**_TO_CUSTOMER, **_AUTHORIZATION, **_LATE},
    "deactivation_notice": {**_TO_CUSTOMER, **_AUTHORIZATION, **_LATE},
    "licences_deactivated": {**_TO_CUSTOMER, **_AUTHORIZATION, **_LATE, "confirmed": False},
    "payment_received": {**_TO_CUSTOMER, **_AUTHORIZATION, "paid_on": "2025-03-12", "customer_paid_on": "2025-03-10"},
    "authorization_cancelled": {**_TO_CUSTOMER, **_AUTHORIZATION, "cancelled_on": "2025-03-05"},
    "authorization_expired": {**_TO_CUSTOMER, **_AUTHORIZATION, "expires_at": "2025-03-09T13:05:00Z"},
    "return_approved": {**_TO_CUSTOMER, **_RETURN, "decided_on": "2025-04-01"},
    "return_refused": {
        **_TO_CUSTOMER,
        **_RETURN,
        "decided_on": "2025-04-01",
        "explanation": "Order accepted more than 14 days ago.",
    },
    "renewal_coming": {**_TO_CUSTOMER, **_MEMBERSHIP, **_WINDOW},
    "renewal_open": {**_TO_CUSTOMER, **_MEMBERSHIP, **_WINDOW},
    "renewal_reminder": {**_TO_CUSTOMER, **_MEMBERSHIP, **_REMINDER},
    "renewal_confirmed": {**_TO_CUSTOMER, **_MEMBERSHIP, **_RENEWAL},
    "renewal_partly_confirmed": {
        **_TO_CUSTOMER,
        **_MEMBERSHIP,
        **_RENEWAL,
        "remaining": [_LINES[0], {**_LINES[1], "quantity": 2}],
        "window_closes": "2026-03-14",
    },
    "licences_ending": {**_TO_CUSTOMER, **_MEMBERSHIP, "licences": _LINES, "window_closes": "2026-03-14"},
    "invitation_accepted": {**_TO_MANAGER, **_INVITATION, "accepted_on": "2025-03-04"},
    "order_to_place": {**_TO_MANAGER, **_AUTHORIZATION, **_ORDER, "waiting_days": 5, "customer_paid_on": "2025-03-06"},
    "customer_added_products": {**_TO_MANAGER, **_AUTHORIZATION, **_ORDER},
    "authorization_late": {**_TO_MANAGER, **_AUTHORIZATION, **_LATE, "customer_paid_on": "2025-03-10"},
    "deactivation_near": {**_TO_MANAGER, **_AUTHORIZATION, **_LATE, "customer_paid_on": "2025-03-10"},
    "renewal_to_prepare": {**_TO_MANAGER, **_MEMBERSHIP, **_WINDOW},
    "renewal_to_follow": {**_TO_MANAGER, **_MEMBERSHIP, **_REMINDER},
    "mail_bounced": {
        **_TO_MANAGER,
        **_INVITATION,
        "address": "camille.legoff@studio-kerguelen.example",
        "subject_line": "Licences Adobe\u00a0: règlement attendu le 16 mars 2025 (PA-4M2X-8TQH)",
        "diagnosis": "550 5.1.1 mailbox unavailable",
    },
    "incident_opened": {
        **_TO_MANAGER,
        "reference": "PA-4M2X-8TQH",
        "says": {
            "fr": "Adobe a accepté une commande pour des licences que nous avions retirées.",
            "en": "Adobe accepted an order for licences that we had removed.",
        },
        "happened": {"fr": "commande acceptée par Adobe", "en": "order accepted by Adobe"},
        "happened_on": "2025-03-07",
    },
}
"""What each template is told when everything is known."""

DIGEST: Context = {
    "person": _TO_MANAGER["person"],
    "reseller": RESELLER,
    "day": "2025-03-16",
    "count": 1,
    "items": [
        {
            "company": "Studio Kerguelen",
            "first": True,
            "subject": "PA-4M2X-8TQH",
            "text": "Studio Kerguelen, PA-4M2X-8TQH\n",
            "html": Markup("<h3>Studio Kerguelen</h3>\n<p>PA-4M2X-8TQH</p>"),
        }
    ],
}
"""What the template of digests is told: by `render_digest`, not by a workflow."""

TO_MANAGERS = frozenset(template for template, facts in FACTS.items() if facts["person"] == _TO_MANAGER["person"])
"""The templates that the reseller's own account managers get."""

_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="236" height="40" viewBox="0 0 236 40">
<rect width="40" height="40" rx="9" fill="#0d6e6e"/><path d="M11 28 20 11l9 17" fill="none" stroke="#fff"
stroke-width="3.4" stroke-linecap="round" stroke-linejoin="round"/><circle cx="20" cy="25" r="2.6" fill="#fff"/>
<text x="52" y="27" font-family="Segoe UI,Helvetica,Arial,sans-serif" font-size="20" font-weight="600" fill="#17343a"
>Atelier Numérique</text></svg>"""

BRAND = Brand(RESELLER["name"], "data:image/svg+xml;base64," + base64.b64encode(_LOGO.encode()).decode(), "#0d6e6e")
"""The brand of the invented reseller. Its logo is part of the page, which only a preview may do."""

DIGEST_ITEMS = tuple(
    Item(template, {**FACTS[template], "customer": {**_CUSTOMER, "company": company, "reference": reference}}, company)
    for template, company, reference in (
        ("order_to_place", "Studio Kerguelen", "C-7K3F-9QTD"),
        ("renewal_to_follow", "Menuiserie Tremblay", "C-2W8J-5RKM"),
        ("invitation_accepted", "Studio Kerguelen", "C-7K3F-9QTD"),
    )
)
"""The mails of a digest as a preview shows it."""

MAY_BE_ABSENT = (
    "po_number",
    "order_number",
    "explanation",
    "anniversary",
    "expires_on",
    "seat_duration",
    "customer_paid_on",
    "waiting_days",
    "invitation_link",
    "subject_line",
    "diagnosis",
    "happened",
    "suspended_from",
    "due_on",
    "reseller.phone",
    "manager.phone",
)
"""Facts that may be null, wherever a template below does not say otherwise."""

NOTABLE = frozenset(
    {
        "nothing optional",
        "other confirmed",
        "marketplace",
        "not accepted, with a link",
        "last week",
        "last call",
        "last call, Adobe renews",
        "reminder, one day",
        "reminder, due day over",
    }
)
"""The samples in which a mail looks different: a contact sheet shows them beside those in which everything is told."""

_ALWAYS_THERE: Mapping[str, frozenset[str]] = {
    # Reminded of before the due day, warned of before deactivation: without that day there is no such mail.
    "payment_reminder": frozenset({"due_on"}),
    "deactivation_notice": frozenset({"due_on", "suspended_from"}),
    "deactivation_near": frozenset({"due_on", "suspended_from"}),
    **{name: frozenset({"anniversary"}) for name in FACTS if name.startswith(("renewal_", "licences_ending"))},
}


def contexts(template: str) -> Mapping[str, Context]:
    """The sample contexts of a template, each under a name that says what is special about it."""
    return dict(_variants(template, FACTS[template]))


def all_contexts() -> Mapping[str, Mapping[str, Context]]:
    """The sample contexts of every template, as `check_templates` wants them."""
    return {template: contexts(template) for template in FACTS}


def _variants(template: str, rich: Context) -> Iterator[tuple[str, Context]]:
    yield "everything told", rich
    absent = [path for path in MAY_BE_ABSENT if _holds(rich, path) and path not in _ALWAYS_THERE.get(template, ())]
    for path in absent:
        yield f"without {path}", _changed(rich, {path: None})
    yield "nothing optional", _changed(rich, dict.fromkeys(absent))
    for path in ("accepted", "confirmed", "overdue", "renews_by_itself", "customer.vip_number_provisional"):
        if _holds(rich, path):
            yield f"other {path}", _changed(rich, {path: not _at(rich, path)})
            yield (
                f"other {path}, nothing optional",
                _changed(rich, {**dict.fromkeys(absent), path: not _at(rich, path)}),
            )
    for path in ("lines", "licences", "remaining", "renewed"):
        if _holds(rich, path):
            yield f"one licence in {path}", _changed(rich, {path: [{**rich[path][0], "quantity": 1}]})
    for path in ("licences", "remaining", "renewed"):
        if _holds(rich, path):
            yield f"no {path}", _changed(rich, {path: []})
    if "due_on" in rich and "expires_at" in rich:
        yield "marketplace", _changed(rich, {"due_on": None, "expires_at": "2025-03-09T13:05:00Z"})
    if "accepted" in rich:
        yield "not accepted, with a link", _changed(rich, {"accepted": False, "invitation_link": _LINK})
    if "last_call" in rich:
        for by_itself in (False, True):
            label = ", Adobe renews" if by_itself else ""
            yield f"last week{label}", _changed(rich, {"last_week": True, "renews_by_itself": by_itself})
            last = {"last_week": True, "last_call": True, "renews_by_itself": by_itself}
            yield f"last call{label}", _changed(rich, last)
    if "waiting_days" in rich:
        for paid in (None, rich["customer_paid_on"]):
            label = "reminder, paid" if paid else "reminder"
            yield f"{label}, one day", _changed(rich, {"waiting_days": 1, "customer_paid_on": paid})
            late = {"waiting_days": 21, "overdue": True, "customer_paid_on": paid}
            yield f"{label}, due day over", _changed(rich, late)
    nobody = {"name": RESELLER["name"], "email": "licences@atelier-numerique.example", "phone": RESELLER["phone"]}
    yield "nobody in charge, no signature", _changed(rich, {"manager": nobody, "reseller.signature": ""})
    if "seat_duration" in rich:
        for unit, count in (("months", 1), ("days", 1), ("days", 212)):
            yield f"{count} {unit}", _changed(rich, {"seat_duration": {"unit": unit, "count": count}})


def _at(context: Context, path: str) -> Any:
    found: Any = context
    for name in path.split("."):
        found = found[name]
    return found


def _holds(context: Context, path: str) -> bool:
    first, _, rest = path.partition(".")
    return first in context and (_at(context, path) if rest else context[first]) is not None


def _changed(context: Context, changes: Mapping[str, Any]) -> Context:
    changed = copy.deepcopy(dict(context))
    for path, value in changes.items():
        *folders, last = path.split(".")
        place: Any = changed
        for name in folders:
            place = place[name]
        place[last] = value
    return changed
