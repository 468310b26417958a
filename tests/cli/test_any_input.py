"""Whatever is posted: never a traceback, one answer a line, and the same file once more changes nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.cli.strange import KNOWN, NASTY, NUMBERS, events, lines_of_bytes, lines_of_json
from tests.cli.test_tree import LEAVES
from tests.cli.told import World, begin, say
from vipflow.config import sections, shipped
from vipflow.operations.workflow_files import load_workflow_files

WORKFLOWS = load_workflow_files(shipped("workflows"))
LINES = st.integers(0, 9).flatmap(
    lambda kind: lines_of_bytes if kind == 9 else lines_of_json if kind == 8 else events(WORKFLOWS)
)
ANSWERED = {0, 2, 3, 4, 5}
"""What a file may end with: 1 would be a fault of ours."""
QUICK = settings(
    derandomize=True,
    max_examples=25,
    phases=[Phase.generate],  # the long run, by hand, is for finding; this one for keeping
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("any")
    world = begin(folder, f"sqlite:///{folder}/vipflow.db")
    yield world
    assert world.say("verify").code == 0
    world.database.dispose()


@QUICK
@given(lines=st.lists(LINES, min_size=8, max_size=24))
def test_whatever_is_posted_is_answered_line_by_line(world: World, lines: list[bytes]) -> None:
    file, told = world.config.parent / "posted", world.config.parent / "told"
    file.write_bytes(b"\n" + b"\n".join(lines))  # nothing in front, by which a file is known to be no text
    said = world.say("event", "post", str(file), "--verdicts", str(told))
    assert said.code in ANSWERED, said.err
    assert "Traceback" not in said.err
    assert "inside vipflow" not in said.err
    answers = [json.loads(line) for line in told.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [each["line"] for each in answers] == [at for at, line in enumerate(lines, 2) if line.strip()]
    for answer in answers:
        assert answer["outcome"] in {"applied", "refused", "stale", "parked", "bad_input", "conflict"}, answer
        assert answer.get("problem") or "id" in answer
    before = world.counts()
    world.say("event", "post", str(file))
    assert world.counts() == before


@settings(QUICK, max_examples=3)
@given(lines=st.lists(LINES, min_size=20, max_size=40))
def test_so_it_is_in_a_process_of_its_own(world: World, lines: list[bytes]) -> None:
    program = [sys.executable, "-m", "vipflow", "event", "post", "-", "--config", str(world.config)]
    done = subprocess.run(program, input=b"\n" + b"\n".join(lines), capture_output=True, check=False)
    assert done.returncode in ANSWERED
    assert b"Traceback" not in done.stderr
    assert b"inside vipflow" not in done.stderr


# --- settings -------------------------------------------------------------------------------------------------------

SETTINGS = [(name, key) for name, section in sections().items() for key in section.model_fields]
values = (
    st.sampled_from([*NASTY, "sqlite:///x.db", "postgresql://u:p@h/n", "smtp", "file", "localhost", "none"])
    .filter(lambda text: "\ud800" not in text)
    .map(lambda text: json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f"))
) | st.sampled_from(
    [
        *("0", "-1", "1e400", "nan", "-inf", "true", "[]", "[1]", '["a", 2]', "{}", "{ a = 1 }", "2024-01-01"),
        *("07:32:00", "9" * 30, "9" * 5000, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "''", "x", "[[]]"),
    ]
)


@st.composite
def configs(draw: st.DrawFn) -> bytes:
    """A config.toml of which some lines are not as they should be."""
    lines = []
    for name, key in draw(st.lists(st.sampled_from(SETTINGS), max_size=8)):
        lines.append(f"{name}.{key} = {draw(values)}" if draw(st.integers(0, 9)) else f"[{name}]\n{key}={draw(values)}")
    text = "\n".join(lines).encode()
    return draw(st.binary(max_size=20)) + text if not draw(st.integers(0, 9)) else text


@settings(QUICK, max_examples=60)
@given(config=configs())
def test_whatever_the_settings_say_is_read_or_told_of(world: World, config: bytes) -> None:
    file = world.config.parent / "strange.toml"
    file.write_bytes(config)
    said = say("timers", "--config", str(file))
    assert said.code in {0, 1, 2}, said.err
    assert "inside vipflow" not in said.err, said.err


# --- commands -------------------------------------------------------------------------------------------------------

ELSEWHERE = {"serve", "demo", "verify"}
"""What runs for long, or makes files of its own."""
WORDS = [text for text in (*NASTY, *KNOWN, *map(str, NUMBERS)) if "\0" not in text and "\ud800" not in text]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command, what it must have and some of what it may have, each with a value that nobody means."""
    path = draw(st.sampled_from([path for path in LEAVES if path.partition(" ")[0] not in ELSEWHERE]))
    line, options = path.split(), []
    for parameter in LEAVES[path].params:
        if parameter.name in ("help", "config", "dry_run") or (not parameter.required and draw(st.integers(0, 3))):
            continue
        if parameter.param_type_name == "argument":
            line.append(draw(st.sampled_from(WORDS)))
        elif parameter.is_flag:
            options.append(parameter.opts[0])
        else:
            options += [parameter.opts[0], draw(st.sampled_from(WORDS))]
    return [*line, *options]


@settings(QUICK, max_examples=80)
@given(line=command_lines())
def test_whatever_a_command_is_given_it_answers(world: World, line: list[str]) -> None:
    said = world.say(*line)
    assert said.code in range(7), said.err
    assert "inside vipflow" not in said.err, said.err
    assert said.code == 0 or said.err or "--json" in line
    assert said.code not in (2, 4, 5) or said.err
