"""What the columns of members' tables are called: by us, by those who export them, in French and in English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

CUSTOMERS: Final[Mapping[str, Sequence[str]]] = {
    "vip_number": ("numéro VIP", "VIP number", "n° VIP", "no VIP", "num VIP", "identifiant VIP", "VIP ID", "VIP"),
    "company": (
        *("société", "company", "nom de la société", "company name", "raison sociale", "entreprise", "organisation"),
        *("nom du client", "client", "customer", "customer name", "organization"),
    ),
    "segment": ("segment de marché", "market segment", "segment"),
    "address": ("adresse", "address", "rue", "street", "adresse 1", "address line 1", "address line"),
    "postal_code": ("code postal", "postal code", "CP", "zip", "zip code", "postcode"),
    "city": ("ville", "city", "localité", "town"),
    "region": ("région", "region", "état", "state", "province"),
    "country": ("pays", "country", "code pays", "country code"),
    "contact_name": ("contact", "contact name", "nom du contact", "contact principal", "primary contact"),
    "contact_first_name": ("prénom", "first name", "prénom du contact", "contact first name"),
    "contact_last_name": ("nom", "last name", "nom de famille", "contact last name"),
    "contact_email": (
        *(
            "e-mail",
            "email",
            "courriel",
            "adresse e-mail",
            "e-mail du contact",
            "contact e-mail",
            "mail",
            "email address",
        ),
        *("contact email", "email du contact", "adresse email"),
    ),
    "language": ("langue", "language"),
    "offer_types": ("type d'offre", "offer type", "type", "offre", "types d'offre", "offer types"),
    "anniversary": (
        *("date anniversaire", "anniversary date", "date d'anniversaire", "anniversary", "renewal date"),
        *("date de renouvellement",),
    ),
    "licences": ("licences", "licenses", "produits et licences", "products and licences"),
    "renewed": ("licences renouvelées", "renewed licences", "renouvelé", "renewed"),
    "product": ("produit", "product", "SKU", "référence produit", "nom du produit", "product name", "part number"),
    "quantity": ("quantité", "quantity", "qté", "qty", "nombre de licences", "nb licences", "seats"),
    "owner": ("géré par", "managed by", "gestionnaire", "gestionnaire de compte", "account manager", "owner"),
    "recipients": ("destinataires en copie", "notice recipients", "copies", "copie", "recipients", "cc"),
    "anchor_day": ("jour d'ancrage", "anchor day"),
    "authorizations": ("autorisations ouvertes", "open authorizations", "autorisations"),
    "invitation": (
        *("invitation", "invitation status", "statut d'invitation", "statut de l'invitation", "invitation state"),
        *("état de l'invitation",),
    ),
    "reference": (
        *("votre référence", "your reference", "référence client", "customer reference", "code client"),
        *("customer number", "numéro client", "n° client"),
    ),
}
"""Our names of the columns, and what else they may be called. Capitals, accents and punctuation make no difference."""

AUTHORIZATIONS: Final[Mapping[str, Sequence[str]]] = {
    "vip_number": CUSTOMERS["vip_number"],
    "created_on": ("créée le", "created on", "date de création", "creation date", "créé le", "date", "created"),
    "po_number": ("numéro de bon de commande", "PO number", "bon de commande", "n° de bon de commande", "PO"),
    "due_on": ("échéance", "due on", "date d'échéance", "due date"),
    "ordered": ("commandée", "ordered", "commande passée", "order placed"),
    "order_number": ("numéro de commande Adobe", "Adobe order number", "numéro de commande", "order number"),
    "product": CUSTOMERS["product"],
    "quantity": CUSTOMERS["quantity"],
}

SHOWN_ONLY: Final = (
    *("ref", "manager", "membership", "pending", "late", "licence_count", "lists"),
    *("next_at", "next_event", "next_says"),
)
"""Columns of `vipflow customer list --csv` that say how things stand: nothing is made of them."""
