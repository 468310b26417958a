"""`vipflow policy …`: the numbers of the business, whose they are, and which running cases have others pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vipflow.cli.policy_diff import apply, diff
from vipflow.cli.policy_values import value_text
from vipflow.cli.session import Session, command, group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vipflow.operations.policies import PolicyTold
    from vipflow.operations.policy_changes import Concerned
    from vipflow.operations.repinning import Selection

Customer = Annotated[
    str | None,
    typer.Option("--customer", help="Numbers of this customer alone: reference, VIP number or e-mail.", metavar="REF"),
]
Given = Annotated[
    list[str],
    typer.Argument(help="Numbers: order_due_days=21, or invitation_reminder_days=[7,21].", metavar="NUMBER=VALUE..."),
]
Names = Annotated[list[str], typer.Argument(help="Numbers to take back: order_due_days.", metavar="NUMBER...")]


def add_to(app: typer.Typer) -> None:
    policy = group("policy", "See and change the numbers of the business, and let running cases follow.")
    command(policy, "list", needs="files")(list_)
    command(policy, "show")(show)
    command(policy, "set", act="rehearsed")(set_)
    command(policy, "unset", act="rehearsed")(unset)
    command(policy, "diff")(diff)
    command(policy, "apply")(apply)
    app.add_typer(policy)


def list_(session: Session) -> None:
    """Lists the policies that there are, shipped ones and your own."""
    from vipflow.operations.policies import list_policies

    session.out.rows(
        list_policies(session.files),
        {
            "Policy": lambda each: each.name,
            "Versions from": lambda each: ", ".join(map(str, each.versions)),
            "What it is": lambda each: each.description,
        },
    )


def show(
    session: Session,
    name: Annotated[
        str | None,
        typer.Argument(help="A policy as its file has it; left out, the numbers of the reseller.", metavar="POLICY"),
    ] = None,
    customer: Customer = None,
    on: Annotated[
        str | None, typer.Option("--on", help="The numbers as they are on this day, if not today.", metavar="DATE")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Also say what each number means.")] = False,
) -> None:
    """Shows every number with its value, where it comes from, and who decided it.

    Without a policy: what counts for whatever the reseller, or its customer, begins now. Numbers of its own go before
    those of the policy, a customer's before its reseller's.
    """
    from vipflow.errors import BadInput
    from vipflow.operations import dates, policies

    if name is not None and customer is not None:
        raise BadInput("--customer", "a policy by name is nobody's", "leave out one of the two")
    day = dates.day("--on", on) if on is not None else None
    if name is not None:
        found = policies.show_policy(session.files, name, day)
    else:
        found = policies.show_in_force(session.installation, session.who, on=day, customer=customer)
    _show_policy(session, found, words=words)


def _show_policy(session: Session, found: PolicyTold, *, words: bool) -> None:
    columns: dict[str, Any] = {
        "Number": lambda each: each.name,
        "Value": lambda each: value_text(each.value),
        "From": lambda each: _SOURCES[each.source],
        "Decided by": lambda each: f"{each.layer} {each.by}" if each.layer in ("reseller", "customer") else each.by,
    }
    if words:
        columns["What it says"] = lambda each: each.says
    of = found.customer or found.reseller
    whose = f" for {of}" if of is not None else ""
    out = session.out
    if out.json:
        out.write_json(found)
        return
    from vipflow.cli.output import table

    out.answer(
        None, f"{found.policy}, the version from {found.version}, as it counts{whose} on {found.on}: {found.id}\n"
    )
    out.answer(None, table(columns, found.numbers))
    if not words:
        out.note("What each number means: --words")


_SOURCES = {
    "adobe": "Adobe",
    "seed": "Adobe's console",
    "ours": "vipflow's choice",
    "your file": "your file",
    "yours": "yours",
    "none": "",
}


def set_(session: Session, numbers: Given, customer: Customer = None) -> None:
    """Gives the reseller, or one of its customers, numbers of its own for all that begins from now on.

    Running cases keep those that they have pinned: how many that concerns is said, and vipflow policy diff shows it.
    Write none for no such number.
    """
    from vipflow.operations.policies import numbers_given

    _change(session, numbers_given(numbers, "the numbers"), (), customer)


def unset(session: Session, names: Names, customer: Customer = None) -> None:
    """Takes back numbers of its own: they are those of the policy again for all that begins from now on."""
    _change(session, {}, names, customer)


def _change(session: Session, numbers: dict[str, Any], drop: Sequence[str], customer: str | None) -> None:
    from vipflow.operations.policy_changes import count_concerned

    if customer is not None:
        changed, say, selection = _for_customer(session, customer, numbers, drop)
    else:
        changed, say, selection = _for_reseller(session, numbers, drop)
    concerned = count_concerned(session.installation, session.who, selection)
    session.out.answer({"changed": changed, "concerned": concerned}, say)
    if not session.out.json:
        say_whom_it_concerns(session, selection, concerned)


def _for_reseller(session: Session, numbers: dict[str, Any], drop: Sequence[str]) -> tuple[Any, str, Selection]:
    from vipflow.cli.team import show_changed
    from vipflow.operations.policies import set_for_reseller
    from vipflow.operations.repinning import Selection

    changed = set_for_reseller(session.installation, session.who, numbers, drop)
    if changed.refused is not None:
        show_changed(session, changed, "")
    before, after = (each.get("overrides") or {} for each in (changed.before, changed.after))
    told = [
        f"{name}: {_own(before, name)} → {_own(after, name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    return changed, "\n".join(told) or "Nothing changed.", Selection()


def _for_customer(
    session: Session, customer: str, numbers: dict[str, Any], drop: Sequence[str]
) -> tuple[Any, str, Selection]:
    from vipflow.cli.acting import show_done
    from vipflow.operations.policies import set_for_customer
    from vipflow.operations.repinning import Selection

    done = set_for_customer(session.installation, session.who, customer, numbers, drop)
    if done.outcome != "applied":
        show_done(session, done, "")
    ref = done.verdict.subject or customer
    told = [f"{name} = {value_text(value)}" for name, value in numbers.items()]
    told += [f"{name} is no longer its own" for name in drop]
    return done, f"{ref}: {', '.join(told)}", Selection(customer=ref)


def _own(numbers: Mapping[str, Any], name: str) -> str:
    return value_text(numbers[name]) if name in numbers else "the policy's"


def say_whom_it_concerns(session: Session, selection: Selection, concerned: Sequence[Concerned]) -> None:
    """How many running cases have other numbers pinned, that none is touched, and how they may follow."""
    option = f" --customer {selection.customer}" if selection.customer else ""
    cases = sum(each.cases for each in concerned)
    if not cases:
        session.out.note("No running case has other numbers pinned.")
        return
    of = ", ".join(f"{each.title.en.lower()} {each.cases:,}" for each in concerned)
    session.out.note(
        f"{cases:,} running case{'s have' if cases > 1 else ' has'} other numbers pinned ({of}). None is touched.\n"
        f"What would change for them: vipflow policy diff{option}\n"
        f"To let them follow: vipflow policy apply{option} --reason TEXT"
    )
