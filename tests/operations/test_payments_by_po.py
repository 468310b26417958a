"""A payment names the customer's purchase order, which the customer may have used before."""

import json

from tests.operations.conftest import World
from vipflow.engine import Verdict, read_envelope
from vipflow.errors import BadInput
from vipflow.operations import authorizations


def pay(world: World, po: str, ident: str) -> object:
    line = json.dumps(
        {"type": "purchase_authorization.pay", "source": "bank", "id": ident, "subject": f"authorizations/{po}"}
    )
    envelope = read_envelope(line, world.installation.workflows)
    return world.installation.engine.post(world.who().tenant, [envelope])[0]


def test_a_po_used_again_after_a_cancelled_authorization_means_the_one_that_runs(world: World) -> None:
    customer = world.invite()
    first = world.authorize(customer, po="PO-7")
    authorizations.cancel(world.installation, world.who(), first)
    second = world.authorize(customer, po="PO-7")
    answer = pay(world, "PO-7", "1")
    assert isinstance(answer, Verdict)
    assert (answer.verdict, answer.case) == ("applied", second)


def test_a_po_of_two_that_run_is_no_name(world: World) -> None:
    customer = world.invite()
    world.authorize(customer, po="PO-7")
    world.authorize(customer, po="PO-7")
    answer = pay(world, "PO-7", "1")
    assert isinstance(answer, BadInput)
    assert "fits several of the authorizations" in str(answer)
