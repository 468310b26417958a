"""A file of events posted: line by line, batch by batch, whatever its length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import msgspec

from vipflow.engine.envelope import LONGEST_LINE, Envelope, Verdict, read_envelope
from vipflow.errors import BadInput, Busy, Conflict, NotFound, VipflowError
from vipflow.operations.allowed import not_allowed_to
from vipflow.operations.bounces import Asked, is_bounce, read_bounce
from vipflow.operations.installation import Installation
from vipflow.operations.who import Who
from vipflow.store.database import DatabaseUnusable
from vipflow.vip.roles import ACT_OF

AT_ONCE = 500
"""Events of one transaction: enough to be fast, few enough that others who write need not wait long."""

SEVERITY = ("quarantined", "conflict", "bad_input", "not_found", "refused")
"""What can be wrong with a line, the worst first; a file's exit code is that of its worst line.

A fault of ours before a mistake of the sender's (first the one that may hide a lost fact: the same id for two of them),
and a refusal last, which is an answer. Parked and stale lines are no mistakes.
"""
EXIT_CODES = {"quarantined": 1, "conflict": 5, "bad_input": 2, "not_found": 4, "refused": 3}

MOST_LISTED = 1000
TOO_LONG = f"the event: it is longer than {LONGEST_LINE:,} bytes; say less in it, or in several"


class Line(msgspec.Struct, frozen=True):
    """What became of one line: its verdict, or why it was rejected (then its id stays free)."""

    number: int
    outcome: str
    """applied, refused, stale, parked, quarantined; or bad_input, conflict, not_found."""
    verdict: Verdict | None = None
    problem: str | None = None

    @property
    def is_bad(self) -> bool:
        return self.outcome in EXIT_CODES


class Posted(msgspec.Struct):
    """What became of a file, counted while it is read. `bad` lists its first thousand bad lines."""

    lines: int = 0
    replayed: int = 0
    outcomes: dict[str, int] = {}
    types: dict[str, int] = {}
    bad: list[Line] = []
    bad_lines: int = 0

    @property
    def exit_code(self) -> int:
        worst = next((outcome for outcome in SEVERITY if self.outcomes.get(outcome)), None)
        return EXIT_CODES[worst] if worst is not None else 0

    def count(self, line: Line) -> None:
        self.lines += 1
        self.outcomes[line.outcome] = self.outcomes.get(line.outcome, 0) + 1
        if line.verdict is not None:
            self.replayed += line.verdict.replayed
            self.types[line.verdict.type] = self.types.get(line.verdict.type, 0) + 1
        if line.is_bad:
            self.bad_lines += 1
            if len(self.bad) < MOST_LISTED:
                self.bad.append(line)


def post_lines(
    installation: Installation,
    who: Who,
    lines: Iterable[tuple[int, bytes | None]],
    *,
    default_source: str | None = None,
    told: Callable[[Line], None] = lambda _: None,
) -> Posted:
    """Posts events given as numbered JSON lines (see `numbered_lines`), in their order, some hundreds at a time.

    History names each event's own source as who did it. `told` hears of each line once its batch is on disk. Raises
    Busy, saying how far it came: to post the same file again is always safe.
    """
    posted = Posted()
    batch: list[tuple[int, Envelope | Line, Asked | None]] = []
    for number, line in lines:
        if line is not None and not line.strip():
            continue
        batch.append((number, *_read(installation, who, number, line, default_source)))
        if len(batch) == AT_ONCE:
            _post(installation, who, batch, posted, told)
            batch = []
    _post(installation, who, batch, posted, told)
    return posted


def numbered_lines(
    stream: BinaryIO, progressed: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a stream with their numbers; None for one longer than an event may be, which is skipped unread.

    `progressed` hears how many bytes were taken.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE + 2):
        number += 1
        progressed(len(line))
        if len(line) <= LONGEST_LINE + 1 and (line.endswith(b"\n") or len(line) <= LONGEST_LINE):
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            continue
        while not line.endswith(b"\n") and (line := stream.readline(LONGEST_LINE)):
            progressed(len(line))
        yield number, None


def _read(
    installation: Installation, who: Who, number: int, line: bytes | None, default_source: str | None
) -> tuple[Envelope | Line, Asked | None]:
    """The event that a line holds; and, where that is another than the sender's own, how he calls his."""
    if line is None:
        return Line(number, "bad_input", problem=TOO_LONG), None
    try:
        if is_bounce(line):
            found = read_bounce(installation, who, line.strip(), default_source)
            if found is not None:
                event, asked = found
                return (answered_line(number, event) if isinstance(event, Verdict) else event), asked
        envelope = read_envelope(line.strip(), installation.workflows, default_source=default_source)
    except BadInput as wrong:
        return Line(number, "bad_input", problem=str(wrong)), None
    if ACT_OF.get(envelope.type) == "administer":
        against = not_allowed_to(who, "administer")
        if against is not None:
            problem = f"event {envelope.source}/{envelope.id}: {envelope.type}: {against.says.en}"
            return Line(number, "refused", problem=problem), None
    return envelope, None


def _post(
    installation: Installation,
    who: Who,
    batch: list[tuple[int, Envelope | Line, Asked | None]],
    posted: Posted,
    told: Callable[[Line], None],
) -> None:
    envelopes = [each for _, each, _ in batch if isinstance(each, Envelope)]
    try:
        answers = iter(installation.engine.post(who.tenant, envelopes))
    except Busy as busy:
        done = f"{busy.problem}; the first {batch[0][0] - 1:,} lines are on disk"
        raise Busy(busy.what, done, "post the same file again: what is there already counts once") from busy
    except DatabaseUnusable as lost:
        done = f"{lost.problem}; the first {batch[0][0] - 1:,} lines are on disk"
        remedy = f"{lost.remedy}; post the same file again then: what is there already counts once"
        raise DatabaseUnusable(lost.what, done, remedy) from lost
    for number, each, asked in batch:
        line = each if isinstance(each, Line) else answered_line(number, next(answers))
        if asked is not None and line.verdict is not None:
            own = msgspec.structs.replace(line.verdict, source=asked.source, id=asked.id, type=asked.type)
            line = msgspec.structs.replace(line, verdict=own)
        posted.count(line)
        told(line)


def answered_line(number: int, answer: Verdict | VipflowError) -> Line:
    """A line by what the engine answered."""
    if isinstance(answer, Verdict):
        return Line(number, answer.verdict, answer)
    kinds = {Conflict: "conflict", NotFound: "not_found"}
    return Line(number, kinds.get(type(answer), "bad_input"), problem=str(answer))


def sorted_counts(counts: dict[str, int]) -> dict[str, int]:
    """The most frequent first."""
    return dict(Counter(counts).most_common())
