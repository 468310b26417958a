"""`vipflow event post`: files of any length, good lines and bad ones."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import AUTHORIZE, CUSTOMER, INVITE, LINES, Cli, event, json_lines
from vipflow.config import load_settings
from vipflow.engine.envelope import LONGEST_LINE
from vipflow.operations import events
from vipflow.operations.installation import open_installation
from vipflow.operations.who import who_asks

MISTYPED = event("5", "purchase_authorization.cancl", "customers/k-1")
UNKNOWN = event("6", "purchase_authorization.pay", "customers/k-9/authorizations/PO-88", "2024-03-05T09:00:00Z")
LATE = event(
    "7",
    "purchase_authorization.create",
    "customers/k-1/authorizations/PO-78",
    "2024-04-04T09:00:00Z",
    lines=LINES,
)
OTHER = {**INVITE, "data": {**CUSTOMER, "company": "Other"}}


@pytest.fixture
def post(cli: Cli, nord: int, place: Path) -> Callable[..., object]:
    def call(*lines: object, options: tuple[str, ...] = ()) -> object:
        (place / "events.jsonl").write_text(json_lines(*lines), encoding="utf-8")  # type: ignore[arg-type]  # why: broken lines too
        return cli("event", "post", "events.jsonl", *options)

    return call


def test_good_lines_stand_and_bad_ones_are_listed_by_number(cli: Cli, post) -> None:
    found = post(INVITE, "{not json", AUTHORIZE, "", MISTYPED)
    assert found.code == 2
    assert "events     4" in found.out
    assert "applied    2" in found.out
    assert "bad input  2" in found.out
    assert "line 2: bad input: the event: it is no JSON" in found.err
    assert "line 5: bad input: event shop/5" in found.err
    assert "did you mean purchase_authorization.cancel?" in found.err
    assert cli("history", "PO-77").code == 0


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([INVITE, AUTHORIZE], 0),
        ([INVITE, UNKNOWN], 0),
        ([INVITE, AUTHORIZE, LATE], 3),
        ([INVITE, AUTHORIZE, LATE, MISTYPED], 2),
        ([INVITE, AUTHORIZE, LATE, MISTYPED, OTHER], 5),
        ([OTHER, INVITE], 5),
    ],
    ids=["applied", "parked", "refused", "bad input", "conflict", "conflict within the file"],
)
def test_the_exit_code_is_that_of_the_worst_line(post, lines: list[object], code: int) -> None:
    assert post(*lines).code == code


def test_a_crash_counts_worse_than_anything_a_sender_does() -> None:
    outcomes = list(events.EXIT_CODES)
    for worst in range(len(outcomes)):
        posted = events.Posted(outcomes=dict.fromkeys(outcomes[worst:], 1))
        assert posted.exit_code == events.EXIT_CODES[events.SEVERITY[worst]]


def test_waiting_events_are_no_fault_but_warned_of(post) -> None:
    found = post(UNKNOWN)
    assert found.code == 0
    assert "parked  1" in found.out
    assert "Warning: 1 event waits for customers or records that are not known yet" in found.err


def test_an_event_posted_again_counts_once(cli: Cli, post) -> None:
    post(INVITE, AUTHORIZE)
    before = cli("history", "k-1", "--json").json
    found = post(INVITE, AUTHORIZE, INVITE)
    assert found.code == 0
    assert "known before  3" in found.out
    assert cli("history", "k-1", "--json").json == before


def test_json_sums_up_and_lists_the_bad_lines(post) -> None:
    found = post(INVITE, MISTYPED, UNKNOWN, options=("--json",))
    assert found.code == 2
    summary = json.loads(found.out)
    assert summary["lines"] == 3
    assert summary["outcomes"] == {"applied": 1, "bad_input": 1, "parked": 1}
    assert summary["exit_code"] == 2
    assert [line["line"] for line in summary["bad"]] == [2]
    assert json.loads(found.err)["warning"].startswith("1 event waits")


def test_each_verdict_can_be_written_to_a_file(post, place: Path) -> None:
    post(INVITE, MISTYPED, UNKNOWN, options=("--verdicts", "verdicts.jsonl"))
    told = [json.loads(line) for line in (place / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["line"], line["outcome"]) for line in told] == [(1, "applied"), (2, "bad_input"), (3, "parked")]
    assert told[0]["case"].startswith("C-")
    assert told[2]["waiting_for"] == "customers/k-9"


def test_a_source_may_be_given_for_events_without_one(cli: Cli, nord: int) -> None:
    bare = {name: value for name, value in INVITE.items() if name != "source"}
    assert cli("event", "post", "-", stdin=json_lines(bare).encode()).code == 2
    assert cli("event", "post", "-", "--source", "import", stdin=json_lines(bare).encode()).code == 0
    assert cli("history", "k-1", "--json").json["items"][0]["actor"] == {"kind": "system", "name": "import"}


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(cli: Cli, nord: int) -> None:
    text = "\ufeff" + json_lines(INVITE, AUTHORIZE).replace("\n", "\r\n")
    assert cli("event", "post", "-", stdin=text.encode()).code == 0


def test_a_last_line_without_an_end_counts(cli: Cli, nord: int) -> None:
    assert cli("event", "post", "-", stdin=json_lines(INVITE).rstrip().encode()).code == 0
    assert cli("history", "k-1").code == 0


def test_a_line_longer_than_any_event_is_skipped_unread(cli: Cli, nord: int) -> None:
    long = b'{"data": "' + b"x" * (3 * LONGEST_LINE) + b'"}\n'
    found = cli("event", "post", "-", stdin=long + json_lines(INVITE).encode())
    assert found.code == 2
    assert "line 1: bad input: the event: it is longer than 262,144 bytes" in found.err
    assert cli("history", "k-1").code == 0


def test_an_empty_file_is_done_at_once(post) -> None:
    found = post()
    assert found.code == 0
    assert "events  0" in found.out


def test_only_some_bad_lines_are_shown_but_all_are_counted(post) -> None:
    found = post(*[f"{{{at}" for at in range(30)])
    assert sum(line.startswith("line ") for line in found.err.splitlines()) == 20
    assert "and 10 more; --verdicts FILE writes a line for each event" in found.err


def test_a_file_is_read_as_it_is_posted(cli: Cli, nord: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 10)
    read = 0

    def lines() -> Iterator[tuple[int, bytes | None]]:
        nonlocal read
        for number in range(1, 101):
            read = number
            invite = {**INVITE, "id": f"i{number}", "subject": f"customers/k-{number}"}
            yield number, json.dumps(invite).encode()

    ahead = []
    installation = open_installation(load_settings(None))
    who = who_asks(installation, reseller=None, email=None)
    posted = events.post_lines(installation, who, lines(), told=lambda line: ahead.append(read - line.number))
    installation.close()
    assert posted.outcomes == {"applied": 100}
    assert max(ahead) < 10


def test_no_bar_is_drawn_where_nobody_looks(post) -> None:
    assert post(INVITE).err == ""
