"""Where mails are made: a few long-lived child processes, so that no template can hang, eat or end the one that sends.

A child holds the templates and nothing else: no database, no sockets, no secrets, a bound on its memory and on the time
of each mail. Whatever becomes of it costs one mail. It ends when its parent does.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

from vipflow.delivery.making import Job, Made, Unmade, make
from vipflow.delivery.render import Templates
from vipflow.errors import VipflowError

SECONDS = 5
"""Of computing, for one mail; a usual one takes a thousandth of that."""
WALL_SECONDS = 30.0
"""Until an answer, however busy the machine is."""
MEGABYTES = 256
"""That a child may use beyond what it has when it is ready."""
TRIES = 2
"""How many children a mail may cost: the first may have ended for a reason of its own."""
_START_SECONDS = 60.0
_TOGETHER = 16  # jobs at a time: handing them over costs a tenth of making them, and waiting for the other side more
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT")


class WorkshopError(VipflowError):
    """Raised when no child process can be started: that is no mail's fault, and no mail is held for it."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"the workers that write mails: {problem}; look at the daemon's own error output, and at what the system "
            "allows (processes, memory)"
        )
        self.problem = problem


class Limits(msgspec.Struct, frozen=True):
    """What one mail may cost."""

    seconds: int = SECONDS
    wall_seconds: float = WALL_SECONDS
    megabytes: int = MEGABYTES


class Workshop:
    """Makes mails, `workers` at a time; with none of them in this very process, for simulations and tests.

    Its children start with the first mail, and end with `close`. Several threads may share it.
    """

    def __init__(self, templates: Templates, *, workers: int = 2, limits: Limits | None = None) -> None:
        self.templates = templates
        self.workers = workers
        self.limits = limits or Limits()
        self._children: list[_Child] = []
        self._lock = threading.Lock()
        self._closed = False

    def render_all(self, jobs: Sequence[Job]) -> list[Made | Unmade]:
        """Every mail, in the order asked for. A job that a child cannot finish, twice, is `Unmade` and says why.

        Raises WorkshopError where no child can be started.
        """
        if self.workers == 0:
            return [make(job, self.templates) for job in jobs]
        with self._lock:
            if self._closed:
                raise WorkshopError("they are closed already")
            try:
                return _Round(self, jobs).run()
            finally:  # whatever ends a round, no answer of it may be taken for one of the next
                for child in [each for each in self._children if each.jobs]:
                    self._drop(child)

    def close(self) -> None:
        """Ends the children."""
        with self._lock:
            self._closed = True
            for child in list(self._children):
                self._drop(child)

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def processes(self) -> tuple[int, ...]:
        """The process ids of the children that run."""
        return tuple(child.process.pid for child in self._children)

    def _staffed(self, wanted: int) -> list[_Child]:
        while len(self._children) < min(self.workers, wanted):
            self._children.append(_Child(self.templates, self.limits))
        return self._children

    def _drop(self, child: _Child) -> int:
        self._children.remove(child)
        return child.end()


class _Round:
    """One call of `render_all`. Jobs are handed out some at a time; those of a child that is lost, one by one."""

    def __init__(self, workshop: Workshop, jobs: Sequence[Job]) -> None:
        self.workshop = workshop
        self.jobs = jobs
        size = max(1, min(_TOGETHER, len(jobs) // (2 * workshop.workers)))
        places = range(len(jobs))
        self.waiting = deque(tuple(places[at : at + size]) for at in range(0, len(jobs), size))
        self.tries: Counter[int] = Counter()
        self.answers: dict[int, Made | Unmade] = {}

    def run(self) -> list[Made | Unmade]:
        while len(self.answers) < len(self.jobs):
            children = self.workshop._staffed(len(self.jobs) - len(self.answers))
            for child in list(children):
                if self.waiting and child.ready and not child.jobs:
                    self._hand_out(child)
            busy = [child for child in children if child.jobs or not child.ready]
            until = min((child.until for child in busy), default=0.0)
            ready = wait([child.line for child in busy], max(0.0, until - _now()))
            for child in busy:
                if child.line in ready:
                    self._hear(child)
                elif child.until <= _now():
                    self._lose(child, f"it took longer than {self.workshop.limits.wall_seconds:g} seconds")
        return [self.answers[place] for place in range(len(self.jobs))]

    def _hand_out(self, child: _Child) -> None:
        child.jobs, child.until = self.waiting.popleft(), _now() + self.workshop.limits.wall_seconds
        try:
            child.line.send_bytes(msgspec.msgpack.encode([self.jobs[place] for place in child.jobs]))
        except OSError:
            self._lose(child, "")

    def _hear(self, child: _Child) -> None:
        try:
            answer = child.line.recv_bytes()
        except (EOFError, OSError):
            self._lose(child, "")
            return
        if answer == _READY:
            child.ready = True
        elif answer == _NO_MEMORY:
            self._lose(child, f"it needs more than {self.workshop.limits.megabytes} MB of memory")
        else:
            self.answers.update(zip(child.jobs, _answers.decode(answer), strict=True))
            child.jobs = ()

    def _lose(self, child: _Child, why: str) -> None:
        """A child is ended, or was; what it had in hand is tried again, and given up at last."""
        places, ready = child.jobs, child.ready
        code = self.workshop._drop(child)
        if not ready:
            raise WorkshopError(f"one of them does not start ({_called(code)})")
        if len(places) > 1:
            self.waiting.extendleft((place,) for place in reversed(places))
            return
        (place,) = places
        self.tries[place] += 1
        if self.tries[place] < TRIES:
            self.waiting.appendleft(places)
            return
        if code == -signal.SIGXCPU:
            why = f"it took longer than {self.workshop.limits.seconds} seconds of computing"
        job = self.jobs[place]
        why = why or f"the process that wrote it ended ({_called(code)})"
        self.answers[place] = Unmade(
            f"template {job.template} ({job.language}): {why}; look for loops and long lists in it"
        )


class _Child:
    """One child process, and the line to it. `jobs` are what it has in hand; `until` when its answer is overdue."""

    def __init__(self, templates: Templates, limits: Limits) -> None:
        self.line, far = Pipe()
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}  # no settings, no secrets
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(each).resolve()) for each in sys.path)
        try:
            self.process = subprocess.Popen(  # noqa: S603 # our own program
                [sys.executable, "-P", "-m", "vipflow.delivery.workshop", str(far.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[far.fileno()],  # and no other: neither sockets nor the database
                start_new_session=True,  # what a terminal sends to the whole group is not for it
                env=environment,
            )
        except OSError as fault:
            self.line.close()
            raise WorkshopError(f"one of them cannot be started: {fault}") from fault
        finally:
            far.close()
        self.jobs: tuple[int, ...] = ()
        self.ready = False
        self.until = _now() + _START_SECONDS
        folders = tuple(str(folder.resolve()) for folder in templates.folders)
        resellers = str(templates.resellers.resolve()) if templates.resellers is not None else None
        with contextlib.suppress(OSError):  # one that ended at once is told when it is listened to
            self.line.send_bytes(msgspec.msgpack.encode(_Setup(folders, resellers, limits)))

    def end(self) -> int:
        """Ends it, if it has not yet; gives the code it ended with."""
        self.line.close()
        try:
            return self.process.wait(0 if self.jobs else 0.5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _called(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"code {code}"


def _now() -> float:
    return time.monotonic()


# --- in the child --------------------------------------------------------------------------------------------------


class _Setup(msgspec.Struct, frozen=True):
    folders: tuple[str, ...]
    resellers: str | None
    limits: Limits


_READY, _NO_MEMORY = b"ready", b"no memory"
_answers = msgspec.msgpack.Decoder(list[Made | Unmade])


def main(line: Connection) -> None:
    """Makes mails until the line is closed. Signals for the whole group are the parent's to answer."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    setup = msgspec.msgpack.decode(line.recv_bytes(), type=_Setup)
    templates = Templates([Path(each) for each in setup.folders], Path(setup.resellers) if setup.resellers else None)
    read = msgspec.msgpack.Decoder(list[Job]).decode
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(setup.limits.megabytes)
    with contextlib.suppress(EOFError, ConnectionError):  # a line closed over something unread is one that was reset
        line.send_bytes(_READY)
        while True:
            jobs = read(line.recv_bytes())
            try:
                answer = msgspec.msgpack.encode([_within(setup.limits.seconds, job, templates) for job in jobs])
            except MemoryError:
                answer = _NO_MEMORY
            line.send_bytes(answer)


def _within(seconds: int, job: Job, templates: Templates) -> Made | Unmade:
    """Makes one mail; the system ends the process (SIGXCPU) where that takes more than so much computing."""
    spent = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, resource.RLIM_INFINITY))
    return make(job, templates)


def _limit_memory(megabytes: int) -> None:
    """On what the process may address, beyond what it does already. Where the system does not say, there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + megabytes * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
