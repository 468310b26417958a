"""The command line: `vipflow`. Parses, hands over to operations, presents. No rules.

Each noun has a module here. They import what they need inside their commands, so that `--help` is instant.

Exit codes: 0 done, 1 a fault (or verify found something), 2 bad input or usage, 3 refused, 4 not found, 5 id conflict,
6 busy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import typer
from typer._completion_classes import completion_init
from typer.main import get_command

from vipflow.cli.completion import COMPLETES
from vipflow.cli.helping import Tree, help_asked_for
from vipflow.cli.output import BAD_INPUT, FAULT, Output
from vipflow.cli.session import for_reseller
from vipflow.errors import NO_ROOM, FileUnusable, VipflowError

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter

# Panels of `vipflow --help`, in order; of each its modules and the command that a module adds.
_PANELS = {
    "Begin": {
        "demo": "demo",
        "init": "init",
        "config": "config",
        "check": "check",
        "database": "db",
        "reseller": "reseller",
        "team": "team",
        "policy": "policy",
        "serve": "serve",
    },
    "Your customers": {
        "customer": "customer",
        "authorization": "authorization",
        "order": "order",
        "renewal": "renewal",
        "return_": "return",
        "task": "task",
        "catalogue": "catalogue",
        "event": "event",
    },
    "Look ahead and back": {
        "explain": "explain",
        "forecast": "next",
        "history": "history",
        "timers": "timers",
        "mail": "mail",
        "simulate": "simulate",
        "calendar": "calendar",
    },
    "When something stops": {"incident": "incident", "hold": "hold", "release": "release", "catchup": "catchup"},
    "Keep and bring back": {"backup": "backup", "restore": "restore"},
    "Look inside": {
        "doctor": "doctor",
        "daemon": "daemon",
        "workflow": "workflow",
        "verify": "verify",
        "audit": "audit",
        "version": "version",
        "completion": "completion",
    },
}


class Root(Tree):
    """The tree of all commands, listed by panel."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        for panel, modules in _PANELS.items():
            self.list_some(panel, [name for name in modules.values() if name in self.commands], formatter)


app = typer.Typer(
    name="vipflow",
    cls=Root,
    help="Runs an Adobe VIP reseller's year: invitations, authorizations, orders, returns, renewals and their e-mails.",
    epilog="Exit codes: 0 done, 1 fault, 2 bad input, 3 refused, 4 not found, 5 id conflict, 6 busy.",
    no_args_is_help=True,
    add_completion=False,  # `vipflow completion` does it: Typer's own options guess the shell
    rich_markup_mode=None,  # rich's help costs more than all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def _root() -> None:
    """A program of many commands, also while it has only one."""


for _modules in _PANELS.values():
    for _module in _modules:
        import_module(f"vipflow.cli.{_module}").add_to(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Runs one command; its exit code. What goes wrong is one clear message on stderr, never a traceback."""
    out = Output(json="--json" in arguments)
    key = _reseller_in(arguments)
    if key is not None:
        out.told = lambda text: for_reseller(text, key)
    for argument in arguments:
        if not argument.isprintable() and any("\ud800" <= character <= "\udfff" for character in argument):
            try:
                out.fail(Usage(f"The argument {argument!a} is not UTF-8; type it in UTF-8."), BAD_INPUT)
            except typer.Exit as end:
                return end.exit_code
    if COMPLETES in os.environ:
        completion_init()
    try:
        try:
            root = get_command(app)
            assert isinstance(root, Root)  # noqa: S101 - made so above
            helpful = help_asked_for(root, arguments)
            if helpful is not None:
                typer.echo(helpful)
                return 0
            answer = root(args=arguments, prog_name="vipflow", standalone_mode=False)
            sys.stdout.flush()
        except VipflowError as fault:
            out.fail(fault, fault.exit_code)
        except typer.Exit:
            raise
        except typer.TyperException as wrong:
            return _usage(out, wrong)
        except (typer.Abort, KeyboardInterrupt):
            out.problem("Stopped.")
            return 130
        except BrokenPipeError:
            # Whoever read us has enough. What is left in the buffer must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as fault:
            if "VIPFLOW_TRACEBACK" in os.environ:
                raise
            if fault.filename is None and fault.errno not in NO_ROOM:  # a network's, say
                out.fail(Unexpected(fault), FAULT)
            unusable = FileUnusable.of(fault)
            out.fail(unusable, unusable.exit_code)
        except Exception as fault:  # the edge of the program: nothing may leave as a traceback
            if "VIPFLOW_TRACEBACK" in os.environ:
                raise
            out.fail(Unexpected(fault), FAULT)
    except typer.Exit as end:
        return end.exit_code
    return answer if isinstance(answer, int) else 0


def _reseller_in(arguments: Sequence[str]) -> str | None:
    """What `--reseller KEY` or `--reseller=KEY` names."""
    for place, argument in enumerate(arguments):
        if argument == "--reseller":
            return next(iter(arguments[place + 1 :]), None)
        if argument.startswith("--reseller="):
            return argument.partition("=")[2]
    return None


class Unexpected(VipflowError):
    """Raised at the edge for what nobody foresaw: a fault in vipflow itself.

    >>> print(Unexpected(KeyError("due_on")))
    something went wrong inside vipflow: KeyError: 'due_on'
    With VIPFLOW_TRACEBACK=1 the same command shows where; please report it with that.
    """

    def __init__(self, fault: Exception) -> None:
        super().__init__(
            f"something went wrong inside vipflow: {type(fault).__name__}: {fault}\n"
            "With VIPFLOW_TRACEBACK=1 the same command shows where; please report it with that."
        )


def _usage(out: Output, wrong: typer.TyperException) -> int:
    message = getattr(wrong, "format_message", lambda: str(wrong))().replace("Value error, ", "")  # pydantic's words
    if out.json:
        out.fail(Usage(message), BAD_INPUT)
    context = getattr(wrong, "ctx", None)
    out.problem(message)
    if context is not None and not message.startswith("Usage:"):  # a noun without a command: that is its help
        out.problem(f"\n{context.command.get_usage(context)}\nMore: {context.command_path} --help")
    return BAD_INPUT


class Usage(VipflowError):
    """Raised for options and arguments that the command does not take."""

    exit_code = BAD_INPUT
