"""What a command says: for people on a terminal, or as JSON for programs; and how it ends when something is wrong."""

from __future__ import annotations

import json as plain_json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.console import Console, RenderableType

    from vipflow.engine.envelope import Verdict
    from vipflow.operations.done import Followed
    from vipflow.workflow import Reason

DONE, FAULT, BAD_INPUT, REFUSED, NOT_FOUND, CONFLICT, BUSY = 0, 1, 2, 3, 4, 5, 6

WIDE = 140
"""Columns where the output is no terminal: a file, a pipe."""


class Output:
    """Where a command's answer goes. With `json` stdout gets JSON alone; what is meant for people is left out.

    Of a `dry_run` people read first that it is one, and JSON has `dry_run` true, and what a rehearsal `followed`.
    """

    csv = False
    """Whether rows are written as CSV, and nothing else."""

    def __init__(self, *, json: bool = False, dry_run: bool = False) -> None:
        self.json = json
        self.dry_run = dry_run
        self.told: Callable[[str], str] = str
        """What becomes of remarks and problems before they are said."""
        self.followed: Callable[[], Followed] | None = None
        self._headed = False

    def answer(self, data: Any, *shown: RenderableType) -> None:
        """The answer: `data` as JSON, or what is `shown` to people, one below the other."""
        if self.json:
            self.write_json(data)
            return
        console = self.console
        for each in shown:
            console.print(each)

    def rows(
        self,
        items: Iterable[Any],
        columns: Mapping[str, Callable[[Any], Any]],
        *,
        next: str | None = None,
        empty: str = "There are none.",
        title: str | None = None,
    ) -> None:
        """A list: as JSON `{"items": […], "next": cursor or null}`, or as a table with a cell per column and item."""
        items = list(items)
        if self.json:
            self.write_json({"items": items, "next": next})
            return
        if not items:
            self.console.print(self.told(empty))
            return
        self.console.print(table(columns, items, title=title))
        if next is not None:
            self.note(f"There are more: --after {next}")

    def verdict(self, verdict: Verdict, say: str, data: Any = None) -> None:
        """What became of an act: `say` where it was done; its reasons, and exit code 3, where it was refused."""
        if self.json:
            self.write_json(data if data is not None and verdict.verdict == "applied" else verdict)
        elif verdict.verdict == "applied":
            self.console.print(say, highlight=False)
        if verdict.verdict == "refused":
            if not self.json:
                for reason in verdict.reasons:
                    self.problem(f"Refused: {reason_text(reason)}")
            raise typer.Exit(REFUSED)
        if verdict.verdict == "stale" and not self.json:
            self.console.print(f"Nothing to do: {verdict.case} has already passed this.")
        if verdict.verdict == "parked" and not self.json:
            self.note(f"Kept: it waits for {verdict.waiting_for}, which is not known yet.")
        if verdict.verdict == "quarantined":
            if not self.json:
                for reason in verdict.reasons:
                    self.problem(reason.says.en)
            raise typer.Exit(FAULT)

    def write_json(self, data: Any) -> None:
        """`data` as indented JSON: msgspec structs, dataclasses, instants (in UTC), dates."""
        plain = _plain(data)
        if self.dry_run and isinstance(plain, dict):
            would = {} if self.followed is None or "happened" in plain else {"would": self.followed()}
            data = {"dry_run": True, **plain, **would}
        sys.stdout.write(json_text(data) + "\n")

    def note(self, text: str) -> None:
        """A remark beside the answer, on stderr; nothing with JSON."""
        if not self.json:
            self._errors.print(harmless(self.told(text)), style="dim", highlight=False)

    def warn(self, text: str) -> None:
        """Something that should be looked at, on stderr, also with JSON."""
        if self.json:
            sys.stderr.write(plain_json.dumps({"warning": text}, ensure_ascii=False) + "\n")
        else:
            self._errors.print(f"Warning: {harmless(self.told(text))}", style="yellow", highlight=False)

    def problem(self, text: str) -> None:
        """What is wrong, on stderr."""
        self._errors.print(harmless(self.told(text)), highlight=False, soft_wrap=True)

    @property
    def console(self) -> Console:
        """Where people read."""
        console = _console(stderr=False)
        if self.dry_run and not self._headed:
            self._headed = True
            console.print("What would be done (--dry-run):", style="bold", highlight=False)
        return console

    @property
    def _errors(self) -> Console:
        return _console(stderr=True)

    def fail(self, fault: Exception, code: int) -> NoReturn:
        """Says what is wrong and ends the command."""
        if self.json:
            sys.stderr.write(json_text({"error": told(fault, code)}) + "\n")
        else:
            self.problem(str(fault))
        raise typer.Exit(code)


_ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """A sentence that repeats what somebody wrote: characters that would act on a terminal stand in it as codes.

    >>> print(harmless("there is no customer \x1b[2J\u202eexe"))
    there is no customer \\x1b[2J\\u202eexe
    """
    return _ACTING.sub(lambda found: ascii(found[0])[1:-1], text)


def table(
    columns: Mapping[str, Callable[[Any], Any]], items: Iterable[Any], *, title: str | None = None
) -> RenderableType:
    """A table with a row per item; what a column's function gives is shown as text, None as nothing."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left", title_style="bold", pad_edge=False
    )
    items = list(items)
    cells = [[cell(item) for cell in columns.values()] for item in items]
    for at, name in enumerate(columns):
        numbers = all(isinstance(row[at], int) for row in cells if row[at] is not None) and bool(cells)
        made.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=at == 0)
    for row in cells:
        made.add_row(
            *(each if hasattr(each, "__rich__") or isinstance(each, Text) else Text(shown(each)) for each in row)
        )
    return made


def facts_table(facts: Mapping[str, Any]) -> RenderableType:
    """Names on the left, values on the right; a fact that is None is left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            made.add_row(name, value if isinstance(value, Text) else Text(shown(value)))
    return made


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(each) for each in value)
    return str(value)


def moment(instant: datetime, zone: ZoneInfo) -> str:
    """An instant to the minute, as the clocks of the reseller show it."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"


def when(instant: datetime | None, zone: ZoneInfo) -> str:
    """An instant as the clocks of the reseller show it; midnight, when days change, as the day alone."""
    if instant is None:
        return ""
    local = instant.astimezone(zone)
    return f"{local:%Y-%m-%d}" if (local.hour, local.minute, local.second) == (0, 0, 0) else f"{local:%Y-%m-%d %H:%M}"


def change(before: str | None, after: str) -> str:
    """A step from one state to another, or the state in which it left the case."""
    return after if before in (None, after) else f"{before} → {after}"


def reason_text(reason: Reason) -> str:
    """A refusal's sentence, and what would change it."""
    says = reason.says.en
    return f"{says} {reason.unblock.en}" if reason.unblock is not None else says


def json_text(data: Any) -> str:
    """Indented JSON, instants in UTC."""
    import msgspec

    encoded = msgspec.json.encode(_plain(data), enc_hook=str)
    return msgspec.json.format(encoded, indent=2).decode()


def json_line(data: Any) -> str:
    """One line of JSON, instants in UTC."""
    import msgspec

    return msgspec.json.encode(_plain(data), enc_hook=str).decode()


def _plain(value: Any) -> Any:
    """Instants in UTC, wherever they stand."""
    import msgspec

    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return {said: _plain(getattr(value, name)) for said, name in names}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return value


def told(fault: Exception, code: int) -> dict[str, Any]:
    """A fault as JSON: what it is, its sentence, what it knows."""
    known = {name: value for name, value in vars(fault).items() if not name.startswith("_") and _is_plain(value)}
    return {"code": code, "kind": type(fault).__name__, "message": str(fault)} | {
        name: value for name, value in known.items() if name not in ("code", "kind", "message")
    }


def _is_plain(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, (str, int, bool))
        or (isinstance(value, (tuple, list)) and all(map(_is_plain, value)))
    )


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    # Without markup: what somebody wrote stands between our words, and "[/x]" is a name.
    return Console(file=stream, width=width, soft_wrap=False, markup=False)
