"""A customer in one row: what lists, search and look-alikes need to know, a pure function of its cases."""

from collections.abc import Mapping
from typing import Any

from vipflow.case import View
from vipflow.decide import next_timer
from vipflow.vip.customers import customer_of, email_domain, folded, invitation_state
from vipflow.vip.licences import licence_count
from vipflow.vip.lists import LISTS, late_count, lists_of, pending_count


def summary(view: View) -> Mapping[str, Any]:
    """The row, by column."""
    customer = customer_of(view)
    if customer is None:
        raise ValueError(f"{view.subject} has no customer to sum up")
    membership = view.only("membership")
    standing = lists_of(view)
    due = next_timer(view)
    return {
        "name": customer.company,
        "name_folded": folded(customer.company),
        "email": customer.contact.email,
        "vip_number": customer.vip_number,
        "segment": customer.segment,
        "anniversary": membership.facts.anniversary if membership is not None else None,
        "owner": customer.owner,
        "invitation_state": invitation_state(view),
        "membership_state": membership.state if membership is not None else "",
        "country": customer.country,
        "email_domain": email_domain(customer.contact.email),
        "pending_count": pending_count(view),
        "late_count": late_count(view),
        "licence_count": licence_count(view),
        **{f"in_{each.name}": each.name in standing for each in LISTS},
        "next_due": due[1].due_at if due is not None else None,
        "next_event": f"{due[0].workflow}.{due[1].event}" if due is not None else None,
    }
