"""Workflow files read: Python by somebody else, imported one by one, what each of them raises told with its line."""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

from statemachine.exceptions import InvalidDefinition

from vipflow.declarations import golden_rows_that_do_not_load
from vipflow.errors import BadInput, Problem, VipflowError, WorkflowError, did_you_mean
from vipflow.machine import Workflows, compile_workflow, compile_workflows
from vipflow.workflow import Workflow

LONGEST_READING = 20.0
"""Seconds that a file may take to be imported (ours): what takes longer waits for something, or never ends."""


def load_workflow_files(folder: Path) -> Workflows:
    """The workflows of all `*.py` files in `folder`, compiled; raises the first problem of `workflow_problems`."""
    classes, problems = read_workflow_files(folder)
    if problems:
        raise problems[0]
    return compile_workflows(classes)


def workflow_problems(folder: Path) -> list[VipflowError]:
    """Everything that is wrong with the workflow files, file by file, class by class."""
    classes, problems = read_workflow_files(folder)
    for cls in classes:
        try:
            compile_workflow(cls)
        except VipflowError as wrong:
            problems.append(wrong)
            continue
        golden = list(golden_rows_that_do_not_load(cls))
        if golden:
            problems.append(WorkflowError(cls.name_in_events, *golden))
    if not problems:
        try:
            compile_workflows(classes)
        except VipflowError as wrong:
            problems.append(wrong)
    return problems


def read_workflow_files(
    folder: Path, *, seconds: float = LONGEST_READING
) -> tuple[list[type[Workflow]], list[VipflowError]]:
    """The workflow classes that the files declare, in order of file and line, and what each faulty file raised."""
    if not folder.is_dir():
        problem, remedy = "it is not there", "set folders.workflows in config.toml"
        if folder.exists():
            problem, remedy = "it is a file", "name the folder that holds it as folders.workflows in config.toml"
        return [], [BadInput(f"the folder {folder}", problem, remedy)]
    files = [path for path in sorted(folder.glob("*.py")) if not path.name.startswith("_")]
    if not files:
        return [], [BadInput(f"the folder {folder}", "it holds no workflow file", "write one, or name another folder")]
    classes: list[type[Workflow]] = []
    problems: dict[tuple[str, ...], VipflowError] = {}
    with _package_of(folder, files):
        for path in files:
            try:
                classes += _declared_in(_module(path, seconds))
            except WorkflowError as wrong:
                problems.setdefault(wrong.problems, wrong)  # a file at fault is told once, whoever imports it
    return classes, list(problems.values())


@contextlib.contextmanager
def _package_of(folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """While it lasts, files of the folder may import each other as `<folder>.<file>`."""
    name = folder.name
    before = sys.modules.get(name)
    if not hasattr(before, "__path__") or str(folder) not in list(before.__path__):  # type: ignore[union-attr]  # why: asked just before
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    for path in files:
        known = sys.modules.get(f"{name}.{path.stem}")
        if known is not None and getattr(known, "__file__", None) != str(path):
            del sys.modules[f"{name}.{path.stem}"]  # of another folder that bears the same name
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if before is not None:
            sys.modules[name] = before
        else:
            sys.modules.pop(name, None)


def _module(path: Path, seconds: float) -> ModuleType:
    """A file imported by its path."""
    name = f"{path.parent.name}.{path.stem}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if not path.is_file():
        raise WorkflowError(path.name, Problem("it is a folder; a workflow is a file", str(path)))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise WorkflowError(path.name, Problem("it cannot be imported; is it a Python file?", str(path)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # msgspec looks a class's annotations up there
    try:
        # What a file prints must not stand in the answer of the command that reads it.
        with contextlib.redirect_stdout(sys.stderr), _no_longer_than(seconds):
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        sys.modules.pop(name, None)
        raise
    except BaseException as fault:  # somebody else's file may raise anything, and even try to leave
        sys.modules.pop(name, None)
        raise WorkflowError(path.name, _told(fault, path)) from fault
    return module


class _TooLong(BaseException):
    """Raised inside a file that does not end; no `except Exception` of its own holds it up."""


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Ends what runs here after that long; where the system has no such alarm, or outside the main thread, it does
    not.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)


def _declared_in(module: ModuleType) -> Sequence[type[Workflow]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Workflow) and value.__module__ == module.__name__
    ]


# --- what a file raises, told --------------------------------------------------------------------------------------


def _told(fault: BaseException, path: Path) -> Problem:
    """The fault in plain words, at the line of the folder's files where it arose."""
    if isinstance(fault, SyntaxError) and fault.filename and Path(fault.filename).parent == path.parent:
        return Problem(f"this is no Python: {fault.msg}", fault.filename, fault.lineno)
    if isinstance(fault, (SyntaxError, UnicodeDecodeError)):
        says = (
            "it is not written in UTF-8; save it as UTF-8" if "utf-8" in str(fault) else f"this is no Python: {fault}"
        )
        return Problem(says, str(path))
    frames = [
        (frame, line)
        for frame, line in _walked(fault.__traceback__)
        if Path(frame.f_code.co_filename).parent == path.parent
    ]
    file, line = (frames[-1][0].f_code.co_filename, frames[-1][1]) if frames else (str(path), None)
    words = {**frames[-1][0].f_globals, **frames[-1][0].f_locals} if frames else {}
    if isinstance(fault, InvalidDefinition):
        return _refused(str(fault), words, file, line)
    return Problem(_plainly(fault, words, path), file, line)


def _walked(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    return traceback.walk_tb(trace)


_STRANGE = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_LACKS = re.compile(r"(\w+)\.__init__\(\) missing \d+ required .*arguments?: (.*)")


def _plainly(fault: BaseException, words: Mapping[str, Any], path: Path) -> str:
    match fault:
        case NameError(name=str(name)):
            near = did_you_mean(name, [each for each in (*words, *dir(builtins)) if not each.startswith("_")])
            return f"{name!r} is not known here{near or '; write it above this line, or import it'}"
        case ModuleNotFoundError(name=str(name)):
            return _no_module(name, path)
        case ImportError(name=str(module)) if found := re.match(r"cannot import name '(\w+)'", str(fault)):
            near = did_you_mean(found[1], dir(sys.modules.get(module)))
            return f"{module} has no {found[1]!r}{near}"
        case AttributeError(name=str(name)):
            valid = [each for each in dir(fault.obj) if not each.startswith("_")]
            return f"{_named(fault.obj)} has no {name!r}{did_you_mean(name, valid)}"
        case TypeError() if found := _STRANGE.match(str(fault)):
            return f"{found[1]} takes no `{found[2]}`{did_you_mean(found[2], _fields(words.get(found[1])))}"
        case TypeError() if found := _LACKS.match(str(fault)):
            return f"{found[1]} lacks {found[2].replace(chr(39), chr(96))}"
        case SystemExit():
            return "it ends the program (sys.exit); a workflow file only declares"
        case _TooLong():
            return "it takes too long to be read: a workflow file only declares, and neither waits nor fetches"
        case RecursionError():
            return "a function calls itself without end"
        case _:
            says = " ".join(str(fault).split())
            return f"it raises {type(fault).__name__}{': ' + says if says else ''}"


def _no_module(name: str, path: Path) -> str:
    folder, _, stem = name.partition(".")
    if folder == path.parent.name and stem:
        stems = [each.stem for each in path.parent.glob("*.py")]
        return f"there is no file {stem}.py in this folder{did_you_mean(stem, stems)}"
    near = did_you_mean(name, sys.stdlib_module_names | {"vipflow", "msgspec"})
    return f"there is no module {name!r}{near or '; install it beside vipflow, or do without it'}"


def _named(value: Any) -> str:
    if isinstance(value, ModuleType):
        return value.__name__
    name = getattr(value, "__name__", None) or getattr(value, "id", None)
    return repr(name) if isinstance(name, str) else f"a {type(value).__name__}"


def _fields(kind: Any) -> Sequence[str]:
    return [*getattr(kind, "__dataclass_fields__", ()), *getattr(kind, "__struct_fields__", ())]


_REFUSALS = (
    (r"one and only one initial state", "several states are marked initial ({}); mark one: State(initial=True)"),
    (r"no initial state|initial state", "no state is marked initial; write State(initial=True) for one of them"),
    (r"unreachable states", "nothing leads to the state {}; lead an event there, or take it out"),
    (
        r"at least one outgoing transition",
        "nothing leads out of the state {}; write State(final=True) if it is an end, or lead an event out",
    ),
    (r"transitions from final state", "the state {} is final, and yet an event leads out of it; take one away"),
    (r"no path to a final state", "from the state {} no event ever leads to a final state; lead one there"),
    (r"There are no states", "it has no states; write for example lent = State(initial=True)"),
    (r"There are no (events|transitions)", "it has no events; write for example give_back = lent.to(returned)"),
)


def _refused(says: str, words: Mapping[str, Any], file: str, line: int | None) -> Problem:
    """What python-statemachine refuses while a class is made, in our words, at the line of the state it names."""
    names = re.findall(r"'(\w+)'", says) or re.findall(r": ([\w, ]+)$", says)
    said = next((text for pattern, text in _REFUSALS if re.search(pattern, says)), None)
    if said is None:
        return Problem(f"the class is refused: {says}", file, line)
    first = names[0].split(", ")[-1] if names else None
    return Problem(said.format(", ".join(names)), file, _line_of_state(file, line, first) or line)


def _line_of_state(file: str, line: int | None, state: str | None) -> int | None:
    """Where a state is written below the `class` line; the class itself was never made."""
    if line is None or state is None:
        return None
    below = Path(file).read_text(encoding="utf-8").splitlines()[line:]
    found = (line + 1 + at for at, each in enumerate(below) if re.match(rf"\s+{state}\s*(:.*)?=", each))
    return next(found, None)
