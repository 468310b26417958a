"""A customer in one row: what lists, search and look-alikes need to know, a pure function of its cases."""

from collections.abc import Mapping
from typing import Any

from vipflow.case import View
from vipflow.vip.customers import customer_of, email_domain, folded
from vipflow.vip.licences import licence_count
from vipflow.vip.lists import LISTS, lists_of, standing_of


def summary(view: View) -> Mapping[str, Any]:
    """The row, by column."""
    customer = customer_of(view)
    if customer is None:
        raise ValueError(f"{view.subject} has no customer to sum up")
    standing = standing_of(view)
    membership = standing.membership
    lists = lists_of(standing)
    return {
        "name": customer.company,
        "name_folded": folded(customer.company),
        "email": customer.contact.email,
        "vip_number": customer.vip_number,
        "segment": customer.segment,
        "anniversary": membership.facts.anniversary if membership is not None else None,
        "owner": customer.owner,
        "invitation_state": standing.invitation,
        "membership_state": membership.state if membership is not None else "",
        "country": customer.country,
        "email_domain": email_domain(customer.contact.email),
        "pending_count": standing.pending,
        "late_count": standing.late,
        "licence_count": licence_count(view),
        **{f"in_{each.name}": each.name in lists for each in LISTS},
    }
