"""What people call states and events: the words of lists, timelines and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vipflow.machine import Workflows
from vipflow.workflow import Text


def state_label(workflows: Workflows, workflow: str, state: str) -> Text:
    """What people call a state; its own name where nobody said."""
    machine = workflows.get(workflow)
    label = machine.labels.get(state) if machine is not None else None
    return label if label is not None else _plain(state)


def event_label(event_type: str) -> Text:
    """What happens, in a few words. An event that is unknown here is called by its own name.

    >>> event_label("purchase_authorization.fall_due").en
    'authorization becomes late'
    """
    return EVENTS.get(event_type) or _plain(event_type.partition(".")[2] or event_type)


def _plain(name: str) -> Text:
    words = name.replace("_", " ")
    return Text(words, words)


EVENTS: Final[Mapping[str, Text]] = {
    "customer.invite": Text("client ajouté et invité", "customer added and invited"),
    "customer.adopt": Text("adhésion existante reprise", "existing member taken over"),
    "customer.assign": Text("confié à un autre gestionnaire", "assigned to another manager"),
    "customer.set_recipients": Text("destinataires en copie modifiés", "notice recipients changed"),
    "customer.add_offer_type": Text("type d’offre ajouté", "offer type added"),
    "customer.note": Text("note", "note"),
    "customer.record_number": Text("numéro VIP enregistré", "VIP number recorded"),
    "customer.override_policy": Text("nombres propres au client", "numbers of its own"),
    "customer.learn_of_incident": Text("incident signalé", "incident noticed"),
    "customer.learn_of_bounce": Text("e-mail revenu", "mail came back"),
    "invitation.issue": Text("invitation envoyée", "invitation sent"),
    "invitation.resend": Text("invitation renvoyée", "invitation sent again"),
    "invitation.remind": Text("rappel de l’invitation", "reminder of the invitation"),
    "invitation.accept": Text("invitation acceptée", "invitation accepted"),
    "invitation.withdraw": Text("invitation retirée", "invitation withdrawn"),
    "invitation.expire": Text("l’invitation expire", "invitation expires"),
    "purchase_authorization.create": Text("autorisation d’achat créée", "authorization created"),
    "purchase_authorization.add": Text("produits ajoutés par le client", "products added by the customer"),
    "purchase_authorization.adopt": Text("autorisation ouverte reprise", "open authorization taken over"),
    "purchase_authorization.cancel": Text("autorisation annulée", "authorization cancelled"),
    "purchase_authorization.place_order": Text("commande passée pour elle", "ordered"),
    "purchase_authorization.order_refused": Text("commande refusée par Adobe", "its order was refused"),
    "purchase_authorization.pay": Text("payée : Adobe a accepté", "paid: Adobe accepted"),
    "purchase_authorization.reverse_payment": Text("paiement repris", "payment reversed"),
    "purchase_authorization.customer_paid": Text("le client vous a payé", "the customer paid you"),
    "purchase_authorization.extend": Text("promesse du client", "promise of the customer"),
    "purchase_authorization.grant_extension": Text("délai accordé par Adobe", "extension granted by Adobe"),
    "purchase_authorization.remind": Text("rappel de paiement", "payment reminder"),
    "purchase_authorization.remind_to_order": Text("rappel : commande à passer", "reminder to place the order"),
    "purchase_authorization.fall_due": Text("l’autorisation est en retard", "authorization becomes late"),
    "purchase_authorization.warn": Text("avis avant désactivation", "notice before deactivation"),
    "purchase_authorization.suspend": Text("les licences peuvent être désactivées", "licences may be deactivated"),
    "purchase_authorization.deactivate": Text("licences désactivées par Adobe", "licences deactivated by Adobe"),
    "purchase_authorization.restore": Text("licences rétablies par Adobe", "licences restored by Adobe"),
    "purchase_authorization.expire": Text("l’autorisation expire", "authorization expires"),
    "purchase_authorization.write_off": Text("autorisation abandonnée", "authorization written off"),
    "purchase_authorization.give_back": Text("licences retournées", "licences given back"),
    "order.place": Text("commande passée auprès d’Adobe", "order placed with Adobe"),
    "order.adopt": Text("commande en cours reprise", "running order taken over"),
    "order.accept": Text("commande acceptée par Adobe", "order accepted by Adobe"),
    "order.refuse": Text("commande refusée par Adobe", "order refused by Adobe"),
    "order.give_back": Text("commande retournée", "order given back"),
    "membership.open": Text("adhésion ouverte", "membership opened"),
    "membership.adopt": Text("adhésion reprise", "membership taken over"),
    "membership.notice_authorization": Text("première autorisation notée", "first authorization noted"),
    "membership.forget_authorization": Text("première autorisation oubliée", "first authorization forgotten"),
    "membership.begin": Text("la période commence", "term begins"),
    "membership.take_up": Text("licences ajoutées à la période", "licences added to the term"),
    "membership.give_back": Text("licences retirées de la période", "licences taken off the term"),
    "membership.come_up": Text("renouvellement à venir", "renewal comes up"),
    "membership.open_window": Text("la fenêtre de renouvellement s’ouvre", "renewal window opens"),
    "membership.remind": Text("rappel de renouvellement", "renewal reminder"),
    "membership.renew": Text("renouvellement confirmé", "renewal confirmed"),
    "membership.decline_renewal": Text("renouvellement décliné", "renewal declined"),
    "membership.close_window": Text("la fenêtre de renouvellement se ferme", "renewal window closes"),
    "membership.start_term": Text("nouvelle période", "new term begins"),
    "return_request.open": Text("retour demandé", "return asked for"),
    "return_request.approve": Text("retour accordé", "return approved"),
    "return_request.refuse": Text("retour refusé", "return refused"),
}
"""The events of the trade. Tested to hold every event of the shipped workflows."""
