"""What Tab offers besides commands and options: what the installation knows, as far as that is quickly told.

A completion never fails, never prints, and never waits: where there is no database, or it does not answer in a moment,
it offers nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vipflow.config import Settings

Offer: TypeAlias = Callable[[typer.Context, str], list[str]]

_A_MOMENT = 1.0  # second: who waits longer for a Tab types on


def one_of(*words: str) -> Offer:
    """These words."""
    return _offering(lambda _: words)


def states() -> Offer:
    """The states of the cases that a noun's list holds."""
    return _offering(_states)


def message_states() -> Offer:
    """The states of a mail."""
    return _offering(lambda _: _message_states())


def resellers() -> Offer:
    """The resellers' keys."""
    return _offering(_from_database(lambda connection, _: _keys(connection)))


def team() -> Offer:
    """Who is in the team of the reseller that was named, or in any."""
    return _offering(_from_database(_members))


def workflows() -> Offer:
    """The workflows' names."""
    return _offering(_workflows)


def templates() -> Offer:
    """The e-mail templates' names."""
    return _offering(_templates)


def policies() -> Offer:
    """The policies' names."""
    return _offering(_policies)


def zones() -> Offer:
    """The time zones' names."""
    return _offering(lambda _: _zones())


def _offering(known: Callable[[typer.Context], Iterable[str]]) -> Offer:
    """Of what is `known`, given what stands on the line already, all that begins as what was typed."""

    def offer(ctx: typer.Context, incomplete: str) -> list[str]:
        with suppress(Exception):  # a file or database at fault is told by commands, not by Tab
            return [word for word in known(ctx) if word.startswith(incomplete)]
        return []

    offer.__annotations__ = {"ctx": typer.Context, "incomplete": str}  # Typer reads them
    return offer


def _settings(ctx: typer.Context) -> Settings:
    from vipflow.config import load_settings

    named = ctx.params.get("config")
    return load_settings(Path(named) if named else None)


def _states(ctx: typer.Context) -> Sequence[str]:
    from vipflow.operations.workflow_files import load_workflow_files

    workflow = _LISTED[ctx.parent.info_name] if ctx.parent is not None and ctx.parent.info_name else ""
    machine = load_workflow_files(_settings(ctx).folders.workflows).get(workflow)
    return machine.states if machine is not None else ()


_LISTED = {"authorization": "purchase_authorization", "order": "order", "return": "return_request"}


def _message_states() -> Sequence[str]:
    from vipflow.operations.inspection import MESSAGE_STATES

    return MESSAGE_STATES


def _workflows(ctx: typer.Context) -> list[str]:
    """As the files write them: to run them takes longer than one waits for a Tab."""
    files = sorted(_settings(ctx).folders.workflows.glob("[!_]*.py"))
    return [name for file in files for name in _NAMED.findall(file.read_text(encoding="utf-8"))]


_NAMED = re.compile(r"""^\s+name_in_events\s*(?::[^=\n]+)?=\s*["'](\w+)["']""", re.MULTILINE)


def _templates(ctx: typer.Context) -> Sequence[str]:
    from vipflow.delivery.render import Templates

    return Templates(_settings(ctx).folders.email_templates).names


def _policies(ctx: typer.Context) -> Sequence[str]:
    from vipflow.vip.numbers import load_policies

    return load_policies(*_settings(ctx).folders.policies).names


def _zones() -> list[str]:
    from zoneinfo import available_timezones

    return sorted(available_timezones())


def _from_database(
    ask: Callable[[Connection, typer.Context], list[str]],
) -> Callable[[typer.Context], list[str]]:
    """What `ask` reads; nothing where there is no database yet, or none that answers in a moment."""

    def read(ctx: typer.Context) -> list[str]:
        from vipflow.operations.databases import open_existing

        found: list[str] = []
        database = open_existing(_settings(ctx), role="reader")

        def work() -> None:
            with suppress(Exception), database.read() as connection:
                found.extend(ask(connection, ctx))

        if database.dialect == "sqlite":
            work()
        else:
            worker = Thread(target=work, daemon=True)  # a server that is away may keep one waiting
            worker.start()
            worker.join(_A_MOMENT)
        return list(found)

    return read


def _keys(connection: Connection) -> list[str]:
    from vipflow.store.tenants import all_tenants

    return [tenant.key for tenant in all_tenants(connection)]


def _members(connection: Connection, ctx: typer.Context) -> list[str]:
    from vipflow.store.tenants import all_tenants, team_members

    named = ctx.params.get("reseller") or os.environ.get("VIPFLOW_RESELLER")
    tenants = [tenant for tenant in all_tenants(connection) if named in (None, "", tenant.key)]
    return [member.email for tenant in tenants for member in team_members(connection, tenant.id) if member.active]
