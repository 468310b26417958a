"""Mails made in child processes: what a template can do to one of them, and what that costs the others."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from multiprocessing import Pipe
from pathlib import Path

import msgspec
import pytest

from vipflow.case import Addressing, Mailbox
from vipflow.delivery import samples
from vipflow.delivery.html import Brand
from vipflow.delivery.making import Job, JobItem, Made, Unmade
from vipflow.delivery.render import Templates
from vipflow.delivery.workshop import Limits, Workshop, WorkshopError

SHIPPED = Path(__file__).resolve().parents[2] / "email_templates"
SLOW = "{% for a in lines %}{% for b in lines %}{% endfor %}{% endfor %}x"
HUNGRY = "{% for a in lines %}{{ text }}{% endfor %}"
MANY = list(range(40_000))
TIGHT = Limits(seconds=1, wall_seconds=20, megabytes=192)


def job(template: str = "note", tenant: str = "nord", language: str = "en", **facts: object) -> Job:
    return Job(
        tenant=tenant,
        template=template,
        language=language,
        context=json.dumps(facts),
        zone="Europe/Paris",
        brand=Brand("Nord Licences"),
        addressing=Addressing(Mailbox("Nord", "licences@nord.example"), None, (Mailbox("Zoé", "zoe@elan.example"),)),
        message_id="<1@nord.example>",
        date=datetime(2025, 3, 17, 8, tzinfo=UTC),
    )


@pytest.fixture
def templates(tmp_path: Path) -> Templates:
    for name, body in {"note": "Hello {{ name }}", "slow": SLOW, "hungry": HUNGRY, "faulty": "{{ nme }}"}.items():
        folder = tmp_path / "templates" / name / "en"
        folder.mkdir(parents=True)
        (folder / "subject.txt").write_text("x")
        (folder / "body.txt").write_text(body)
    return Templates([tmp_path / "templates"], tmp_path / "resellers")


@pytest.fixture
def open_workshop(templates: Templates) -> Iterator[Callable[..., Workshop]]:
    opened: list[Workshop] = []

    def open_(**changes: object) -> Workshop:
        opened.append(Workshop(templates, **{"workers": 1, "limits": TIGHT, **changes}))  # type: ignore[arg-type]  # why: any
        return opened[-1]

    yield open_
    for workshop in opened:
        workshop.close()


def said(made: Made | Unmade) -> str:
    assert isinstance(made, Made), made
    part = message_from_bytes(made.content, policy=policy.default).get_body(("plain",))
    assert part is not None
    return str(part.get_content()).strip()


def test_a_child_makes_the_same_bytes_as_this_process():
    jobs = [job(name, language=language, **facts) for name, facts in samples.FACTS.items() for language in ("fr", "en")]
    with Workshop(Templates([SHIPPED]), workers=0) as here, Workshop(Templates([SHIPPED]), workers=2) as there:
        made = there.render_all(jobs)
        assert made == here.render_all(jobs)
        assert made == there.render_all(jobs)
    assert {type(each) for each in made} == {Made}


def test_every_answer_is_that_of_its_job(open_workshop):
    made = open_workshop(workers=2).render_all([job(name=f"n{count}") for count in range(100)])
    assert [said(each) for each in made] == [f"Hello n{count}" for count in range(100)]


def test_a_fault_in_a_template_is_told_with_file_and_line(open_workshop):
    good, faulty = open_workshop().render_all([job(name="Zoé"), job("faulty", name="Zoé")])
    assert said(good) == "Hello Zoé"
    assert isinstance(faulty, Unmade)
    assert "faulty/en/body.txt line 1: 'nme' is undefined" in faulty.says


def test_a_template_without_end_costs_its_own_mail_only(open_workshop):
    made = open_workshop().render_all([job(name="a"), job("slow", lines=MANY), job(name="b")])
    assert [said(made[0]), said(made[2])] == ["Hello a", "Hello b"]
    assert made[1] == Unmade(
        "template slow (en): it took longer than 1 seconds of computing; look for loops and long lists in it"
    )


def test_a_template_that_eats_memory_costs_its_own_mail_only(open_workshop):
    hungry = job("hungry", lines=MANY, text="x" * 50_000)
    made = open_workshop(limits=Limits(seconds=20, megabytes=192)).render_all([job(name="a"), hungry, job(name="b")])
    assert [said(made[0]), said(made[2])] == ["Hello a", "Hello b"]
    assert isinstance(made[1], Unmade)
    assert "it needs more than 192 MB of memory" in made[1].says


def test_a_child_that_does_not_answer_in_time_is_ended(open_workshop):
    workshop = open_workshop(limits=Limits(seconds=60, wall_seconds=0.5))
    workshop.render_all([job(name="a")])
    before = workshop.processes
    made = workshop.render_all([job("slow", lines=MANY), job(name="b")])
    assert isinstance(made[0], Unmade)
    assert "it took longer than 0.5 seconds" in made[0].says
    assert said(made[1]) == "Hello b"
    assert not set(before) & set(workshop.processes)


def test_a_child_that_is_killed_in_the_middle_costs_nothing(open_workshop):
    workshop = open_workshop(limits=Limits(seconds=60))
    workshop.render_all([job(name="a")])
    (child,) = workshop.processes
    answers: list[Made | Unmade] = []
    jobs = [job("note", name=f"n{count}") for count in range(500)]
    thread = threading.Thread(target=lambda: answers.extend(workshop.render_all(jobs)))
    thread.start()
    os.kill(child, signal.SIGKILL)
    thread.join()
    assert [said(each) for each in answers] == [f"Hello n{count}" for count in range(500)]
    assert child not in workshop.processes


def test_a_mail_that_ends_two_children_is_given_up_and_says_so(open_workshop, templates: Templates):
    workshop = open_workshop(limits=Limits(seconds=600, wall_seconds=600))
    answers: list[Made | Unmade] = []
    jobs = [job("slow", lines=MANY)]
    thread = threading.Thread(target=lambda: answers.extend(workshop.render_all(jobs)))
    thread.start()
    killed: set[int] = set()
    while thread.is_alive():  # each child is killed once it is at work
        for child in workshop._children:
            if child.jobs and child.process.pid not in killed:
                killed.add(child.process.pid)
                child.process.kill()
        thread.join(0.01)
    assert len(killed) == 2
    assert isinstance(answers[0], Unmade)
    assert "the process that wrote it ended (SIGKILL)" in answers[0].says


def test_an_idle_child_that_was_killed_is_replaced(open_workshop):
    workshop = open_workshop()
    workshop.render_all([job(name="a")])
    os.kill(workshop.processes[0], signal.SIGKILL)
    assert said(workshop.render_all([job(name="b")])[0]) == "Hello b"


def test_signals_for_the_whole_group_do_not_end_a_child(open_workshop):
    workshop = open_workshop()
    workshop.render_all([job(name="a")])
    (child,) = workshop.processes
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child, name)
    assert said(workshop.render_all([job(name="b")])[0]) == "Hello b"
    assert workshop.processes == (child,)


def test_a_closed_workshop_leaves_no_process_and_takes_no_mail(open_workshop):
    workshop = open_workshop(workers=2)
    workshop.render_all([job(name="a"), job(name="b")])
    ends = [os.pidfd_open(child) for child in workshop.processes]
    workshop.close()
    for end in ends:
        assert select.select([end], [], [], 10)[0]
        os.close(end)
    with pytest.raises(WorkshopError):
        workshop.render_all([job(name="c")])


def test_children_end_when_their_parent_does(templates: Templates):
    program = """
import sys
from pathlib import Path
from tests.delivery.test_workshop import job
from vipflow.delivery.render import Templates
from vipflow.delivery.workshop import Workshop
workshop = Workshop(Templates([Path(sys.argv[1])]), workers=2)
workshop.render_all([job(name="a"), job(name="b")])
print(*workshop.processes, flush=True)
sys.stdin.read()
"""
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(templates.folders[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert parent.stdout is not None
    ends = [os.pidfd_open(int(child)) for child in parent.stdout.readline().split()]
    assert ends
    parent.kill()
    parent.communicate()
    for end in ends:
        assert select.select([end], [], [], 10)[0]
        os.close(end)


def test_a_child_whose_parent_closes_the_line_over_its_last_word_ends_quietly():
    """What was not read resets the line instead of ending it."""
    line, far = Pipe()
    with far:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "vipflow.delivery.workshop", str(far.fileno())],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(each).resolve()) for each in sys.path)},
            pass_fds=[far.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
    line.send_bytes(msgspec.msgpack.encode({"folders": [], "resellers": None, "limits": Limits()}))
    assert line.poll(30), "it says that it is ready"
    line.close()
    said = child.communicate(timeout=30)[1]
    assert (child.returncode, said) == (0, "")


def test_a_child_has_neither_our_sockets_nor_our_secrets(open_workshop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VIPFLOW_SMTP__PASSWORD", "secret")
    workshop = open_workshop(workers=2)
    workshop.render_all([job(name="a"), job(name="b")])
    for child in workshop.processes:
        entries = Path(f"/proc/{child}/fd").iterdir()
        opened = [os.readlink(entry) for entry in entries if int(entry.name) > 2]
        assert len([each for each in opened if each.startswith("socket:")]) == 1, opened  # its line to us
        assert b"secret" not in Path(f"/proc/{child}/environ").read_bytes()


def test_where_no_child_can_start_no_mail_is_at_fault(open_workshop, monkeypatch: pytest.MonkeyPatch):
    workshop = open_workshop()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkshopError, match="cannot be started"):
        workshop.render_all([job(name="a")])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkshopError, match="does not start"):
        workshop.render_all([job(name="a")])


def test_each_reseller_gets_its_own_words_from_a_child_too(open_workshop, templates: Templates):
    assert templates.resellers is not None
    own = templates.resellers / "sud" / "note" / "en"
    own.mkdir(parents=True)
    (own / "body.txt").write_text("Howdy {{ name }}")
    made = open_workshop().render_all([job(name="a"), job(tenant="sud", name="a")])
    assert [said(each) for each in made] == ["Hello a", "Howdy a"]


def test_a_digest_is_made_in_a_child_and_tells_which_items_it_left_out(open_workshop, templates: Templates):
    folder = templates.folders[0] / "digest" / "en"
    folder.mkdir(parents=True)
    (folder / "subject.txt").write_text("{{ count }}")
    (folder / "body.txt").write_text("{% for item in items %}\n{{ item.text }}\n{% endfor %}\n")
    items = (
        JobItem("note", '{"name": "a"}', "A"),
        JobItem("faulty", "{}", "A"),
        JobItem("note", '{"name": "b"}', "B"),
    )
    asked = Job(**{**{name: getattr(job("digest"), name) for name in Job.__struct_fields__}, "items": items})
    workshop = Workshop(Templates(templates.folders), workers=1)
    with workshop:
        (made,) = workshop.render_all([asked])
    assert said(made).split() == ["Hello", "a", "Hello", "b"]
    assert isinstance(made, Made)
    assert [place for place, _ in made.left_out] == [1]
