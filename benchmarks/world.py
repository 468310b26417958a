"""What both sides of a benchmark begin with: a reseller and its customers as the shipped workflows make them.

Every customer was invited, has accepted, has a membership that awaits its first order and one purchase authorization,
made in January 2025. The clock stands a day before that authorization is late: the next thing to happen to anybody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from vipflow.clock import StillClock
from vipflow.engine import Engine, read_envelope
from vipflow.engine.envelope import Verdict
from vipflow.machine import Workflows, compile_workflows
from vipflow.store.database import Database, open_database
from vipflow.store.schema import migrate
from vipflow.store.tenants import MemberRow, add_team_member, add_tenant
from vipflow.vip.catalogue import load_catalogue
from vipflow.vip.numbers import load_policies
from vipflow.vip.trade import VipTrade
from workflows.customer import CustomerWorkflow
from workflows.invitation import InvitationWorkflow
from workflows.membership import MembershipWorkflow
from workflows.order import OrderWorkflow
from workflows.purchase_authorization import PurchaseAuthorization
from workflows.return_request import ReturnRequest

BATCH = 1000
"""Events, or due timers, in one transaction: ours and the limit's."""

INVITED = datetime(2025, 1, 6, 9, tzinfo=UTC)
ACCEPTED = datetime(2025, 1, 6, 14, tzinfo=UTC)
AUTHORIZED = datetime(2025, 1, 7, 10, tzinfo=UTC)

PHOTOSHOP = "65305156CA01A12"

WORKFLOWS: Workflows = compile_workflows(
    [CustomerWorkflow, InvitationWorkflow, PurchaseAuthorization, OrderWorkflow, MembershipWorkflow, ReturnRequest]
)
