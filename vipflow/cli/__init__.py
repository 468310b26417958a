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
from importlib.util import find_spec
from typing import NoReturn

import typer
from typer.main import get_command

from vipflow.cli.output import BAD_INPUT, FAULT, Output
from vipflow.errors import VipflowError

# In the order of `vipflow --help`: module, what it adds. A group has its noun as name; a single command none.
_PARTS = (
    "demo",
    "check",
    "verify",
    "database",
    "event",
    "simulate",
    "calendar",
    "customer",
    "authorization",
    "order",
    "renewal",
    "return_",
    "explain",
    "forecast",
    "history",
    "timers",
    "incident",
    "team",
    "reseller",
    "mail",
    "workflow",
    "version",
)

app = typer.Typer(
    name="vipflow",
    help="Runs an Adobe VIP reseller's year: invitations, authorizations, orders, returns, renewals and their e-mails.",
    epilog="Exit codes: 0 done, 1 fault, 2 bad input, 3 refused, 4 not found, 5 id conflict, 6 busy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def _root() -> None:
    """A program of many commands, also while it has only one."""


for _part in _PARTS:
    if find_spec(f"vipflow.cli.{_part}") is not None:
        import_module(f"vipflow.cli.{_part}").add_to(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Runs one command; its exit code. What goes wrong is one clear message on stderr, never a traceback."""
    out = Output(json="--json" in arguments)
    try:
        try:
            answer = get_command(app)(args=arguments, prog_name="vipflow", standalone_mode=False)
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
        except Exception as fault:  # the edge of the program: nothing may leave as a traceback
            if "VIPFLOW_TRACEBACK" in os.environ:
                raise
            out.fail(Unexpected(fault), FAULT)
    except typer.Exit as end:
        return end.exit_code
    return answer if isinstance(answer, int) else 0


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
    message = getattr(wrong, "format_message", lambda: str(wrong))()
    if not message:  # a group named without a command has shown its help
        return BAD_INPUT
    if out.json:
        out.fail(Usage(message), BAD_INPUT)
    context = getattr(wrong, "ctx", None)
    out.problem(message)
    if context is not None:
        out.problem(f"\n{context.command.get_usage(context)}\nMore: {context.command_path} --help")
    return BAD_INPUT


class Usage(VipflowError):
    """Raised for options and arguments that the command does not take."""

    exit_code = BAD_INPUT
