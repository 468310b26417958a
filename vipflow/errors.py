"""What can go wrong: one exception class per cause, each built from the facts it knows.

A refusal is not here: it is an answer, not a fault (a command line still ends with 3 for it). Every message names the
thing, what is wrong with it and, where we know, what would be right. `exit_code` is what a command line ends with:
1 fault, 2 bad input, 3 refused, 4 not found, 5 id conflict, 6 busy.
"""

import errno
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar, Self


class VipflowError(Exception):
    """Base of every fault that vipflow raises on purpose; raised itself only where no class below says it better."""

    exit_code: ClassVar[int] = 1


class Problem(str):
    """A sentence on what is wrong, and where that stands in a file; as text it says both.

    >>> print(Problem("timer sends 'renw', which is no event", "workflows/loan.py", 129))
    workflows/loan.py line 129: timer sends 'renw', which is no event
    """

    says: str
    file: str | None
    line: int | None

    __slots__ = ("file", "line", "says")

    def __new__(cls, says: str, file: str | None = None, line: int | None = None) -> Self:
        where = f"{file} line {line}: " if file and line else f"{file}: " if file else ""
        made = super().__new__(cls, where + says)
        made.says, made.file, made.line = says, file, line
        return made


class WorkflowError(VipflowError):
    """Raised when a workflow file declares what cannot be kept: found while loading, before anything runs. It carries
    every problem at once.

    >>> print(WorkflowError("membership", "timer sends 'renw', which is not an event"))
    workflow membership: timer sends 'renw', which is not an event
    """

    def __init__(self, workflow: str, *problems: str) -> None:
        super().__init__(f"workflow {workflow}: {listed(problems)}")
        self.workflow = workflow
        self.problems = problems

    @property
    def problem(self) -> str:
        """All problems as one sentence, without the places where they stand."""
        return "; ".join(problem.says if isinstance(problem, Problem) else problem for problem in self.problems)


class PolicyError(VipflowError):
    """Raised when a policy file or an override states numbers that cannot hold; it carries every problem at once.

    >>> print(PolicyError("vip-2024", "order_due_days = 0: write 1 or more"))
    policy vip-2024: order_due_days = 0: write 1 or more
    """

    exit_code = 2

    def __init__(self, name: str, *problems: str) -> None:
        super().__init__(f"policy {name}: {listed(problems)}")
        self.name = name
        self.problems = problems

    @property
    def problem(self) -> str:
        """All problems as one text, one a line."""
        return "\n".join(self.problems)


class BadInput(VipflowError):
    """Raised at the border when a file, form, event or argument is malformed, before anything is decided.

    >>> print(BadInput("events.ndjson line 3", "time is 7 minutes ahead", "send it once it has happened"))
    events.ndjson line 3: time is 7 minutes ahead; send it once it has happened
    """

    exit_code = 2

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what}: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy


class NotFound(VipflowError):
    """Raised when a reference names nothing that the asker can see: unknown, mistyped, or another reseller's.

    >>> print(NotFound("customer", "C-7K3F-9QTD"))
    there is no customer C-7K3F-9QTD
    >>> print(NotFound("product", "65304579CA01A13", "did you mean 65304579CA01A12?"))
    there is no product 65304579CA01A13; did you mean 65304579CA01A12?
    """

    exit_code = 4

    def __init__(self, what: str, ref: str, remedy: str = "") -> None:
        super().__init__(f"there is no {what} {ref}" + (f"; {remedy}" if remedy else ""))
        self.what = what
        self.ref = ref
        self.remedy = remedy


class Conflict(VipflowError):
    """Raised when an id is already taken by something else: the same event id once more, with another body.

    >>> print(Conflict("event", "shop/4711", "it was received with another body", "send the new fact under a new id"))
    event shop/4711: it was received with another body; send the new fact under a new id
    """

    exit_code = 5

    def __init__(self, what: str, ref: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what} {ref}: {problem}; {remedy}")
        self.what = what
        self.ref = ref
        self.problem = problem
        self.remedy = remedy


class Busy(VipflowError):
    """Raised when somebody else holds what is needed for longer than we wait: nothing was written, try again.

    >>> print(Busy("the database var/vipflow.db", "another process has been writing for 5 s", "try again"))
    the database var/vipflow.db is busy: another process has been writing for 5 s; try again
    """

    exit_code = 6

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what} is busy: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy


class FileUnusable(VipflowError):
    """Raised when the machine does not let a file be read or written: no room, no right, no such folder.

    >>> print(FileUnusable.of(OSError(28, "No space left on device", "var/mail/nord/1.eml")))
    the file var/mail/nord/1.eml: No space left on device; make room, then do it again
    """

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        super().__init__(f"{what}: {problem}; {remedy}")
        self.what = what
        self.problem = problem
        self.remedy = remedy

    @classmethod
    def of(cls, fault: OSError) -> "FileUnusable":
        """What the machine reports, with what can be done about it."""
        what = f"the file {fault.filename}" if fault.filename else "a file"
        if fault.errno in NO_ROOM:
            remedy = "make room, then do it again"
        elif fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "let this user read or write it, or name another place"
        else:
            remedy = "check its path and its disk"
        return cls(what, fault.strerror or str(fault), remedy)


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""How a machine says that nothing more fits: the disk, a quota, the size a file may have."""


class SchemaError(VipflowError):
    """Raised at the start when stored data have a shape that this release cannot run on: nothing is read or written.

    >>> print(SchemaError("the database", "0007", "0009", "run `vipflow db upgrade`"))
    the database has schema 0007, this release needs 0009; run `vipflow db upgrade`
    """

    def __init__(self, what: str, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{what} has schema {found}, this release needs {expected}; {remedy}")
        self.what = what
        self.found = found
        self.expected = expected
        self.remedy = remedy


def did_you_mean(given: str, valid: Iterable[str]) -> str:
    """`" (did you mean late?)"` for the nearest of the `valid` names, or nothing where none is near.

    >>> "no state laet" + did_you_mean("laet", ["pending", "late"])
    'no state laet (did you mean late?)'
    """
    near = get_close_matches(given, list(valid), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def listed(problems: Sequence[str]) -> str:
    """One problem as it is, several counted and one a line: how a message says everything at once."""
    if len(problems) == 1:
        return problems[0]
    return f"{len(problems)} problems" + "".join(f"\n  - {problem}" for problem in problems)
