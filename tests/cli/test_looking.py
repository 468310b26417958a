"""History, timers, mails, incidents, explain and next, as they are looked at."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import LINES, Cli, event, json_lines


@pytest.fixture
def incident(cli: Cli, elan: str) -> str:
    """The late customer bought in the Admin Console all the same: a report that contradicts what we know."""
    added = event(
        "3", "purchase_authorization.add", "customers/k-1/authorizations/PO-80", "2024-04-20T08:00:00Z", lines=LINES
    )
    assert cli("event", "post", "-", stdin=json_lines(added).encode()).code == 0
    return str(cli("incident", "list", "--each", "--json").json["items"][0]["id"])


@pytest.fixture
def caught_up(cli: Cli, elan: str) -> str:
    """An event of May makes the clock's conclusions of March and April visible."""
    note = event("8", "customer.note", "customers/k-1", "2024-05-01T09:00:00Z", text="called")
    assert cli("event", "post", "-", stdin=json_lines(note).encode()).code == 0
    return elan


# --- history -------------------------------------------------------------------------------------------------------


def test_history_tells_what_happened_when_and_by_whom(cli: Cli, caught_up: str) -> None:
    found = cli("history", caught_up).out
    assert "invitation sent" in found
    assert "pending → late" in found
    assert "the clock" in found
    assert "payment_overdue" in found
    assert "Learned" in found


def test_history_of_a_case_is_its_own(cli: Cli, caught_up: str) -> None:
    items = cli("history", "PO-77", "--json").json["items"]
    assert {item["workflow"] for item in items} == {"purchase_authorization"}
    assert items[0]["from"] is None
    assert items[0]["to"] == "pending"
    assert items[0]["facts_after"]["po_number"] == "PO-77"


def test_history_tells_changed_facts_when_asked(cli: Cli, caught_up: str) -> None:
    found = cli("history", "PO-77", "--facts").out
    assert "due_on" in found
    assert "2024-03-18" in found


def test_history_goes_page_by_page(cli: Cli, caught_up: str) -> None:
    whole = cli("history", caught_up, "--json").json["items"]
    pages: list[object] = []
    after: list[str] = []
    while True:
        page = cli("history", caught_up, "--limit", "2", *after, "--json").json
        pages += page["items"]
        if page["next"] is None:
            break
        after = ["--after", page["next"]]
    assert pages == whole
    assert "There are more: --after 2" in cli("history", caught_up, "--limit", "2").err
    assert cli("history", caught_up, "--after", "soon").code == 2


# --- timers --------------------------------------------------------------------------------------------------------


def test_timers_are_listed_the_earliest_first(cli: Cli, elan: str) -> None:
    items = cli("timers", "--json").json["items"]
    due = [item["due_at"] for item in items]
    assert due == sorted(due)
    assert {"case", "name", "event", "due_at", "subject"} <= items[0].keys()
    assert "authorization becomes late" in cli("timers", elan).out


def test_timers_go_page_by_page(cli: Cli, elan: str) -> None:
    whole = cli("timers", "--json").json["items"]
    first = cli("timers", "--limit", "1", "--json").json
    assert first["items"] == whole[:1]
    second = cli("timers", "--limit", "100", "--after", first["next"], "--json").json
    assert second["items"] == whole[1:]
    assert cli("timers", "--after", "nonsense").code == 2


def test_an_empty_list_says_so(cli: Cli, nord: int) -> None:
    assert cli("timers").out == "No timer is armed.\n"
    assert cli("timers", "--json").json == {"items": [], "next": None}
    assert cli("incident", "list").out == "No incident is open.\n"
    assert cli("mail", "list").out == "There is no such mail.\n"


# --- incidents -----------------------------------------------------------------------------------------------------


def test_an_incident_is_listed_and_shown(cli: Cli, elan: str, incident: str) -> None:
    assert incident in cli("incident", "list", "--customer", elan).out
    shown = cli("incident", "show", incident.lower())
    assert shown.code == 0
    assert "purchase_authorization.add" in shown.out
    assert "vipflow history" in shown.err
    as_json = cli("incident", "show", incident, "--json").json
    assert as_json["kind"] == "contradiction"
    assert as_json["says"]["fr"] != as_json["says"]["en"]
    assert cli("incident", "list", "--kind", "quarantined", "--json").json["items"] == []


# --- mails ---------------------------------------------------------------------------------------------------------


def test_mails_are_listed_and_read(cli: Cli, elan: str) -> None:
    items = cli("mail", "list", elan, "--json").json["items"]
    keys = {item["template"]: item["key"] for item in items}
    assert {"invitation", "products_added", "order_to_place"} <= keys.keys()
    shown = cli("mail", "show", keys["products_added"])
    assert shown.code == 0
    assert "PO-77" in shown.out
    assert "Bonjour Zoé Petit" in shown.out
    assert cli("mail", "show", keys["products_added"], "--json").json["final"] is False


def test_mails_are_chosen_by_record_state_and_template(cli: Cli, elan: str) -> None:
    only = cli("mail", "list", "PO-77", "--json").json["items"]
    assert {item["template"] for item in only} == {"products_added", "order_to_place"}
    assert cli("mail", "list", "--state", "sent", "--json").json["items"] == []
    waiting = cli("mail", "list", "--state", "sent", "--state", "waiting", "--json").json["items"]
    assert len(waiting) == len(cli("mail", "list", "--json").json["items"])
    assert len(cli("mail", "list", "--template", "invitation", "--json").json["items"]) == 1
    assert "did you mean waiting?" in cli("mail", "list", "--state", "wating").err
    assert cli("mail", "list", "--template", "invitaton").code == 4


def test_a_mistyped_key_is_answered_with_those_meant(cli: Cli, elan: str) -> None:
    key = cli("mail", "list", "PO-77", "--json").json["items"][0]["key"]
    found = cli("mail", "show", key[:-3])
    assert found.code == 4
    assert f"did you mean {key}?" in found.err


def test_a_template_is_tried_out_without_a_database(cli: Cli, tmp_path: Path) -> None:
    french = cli("mail", "preview", "payment_reminder", "--language", "fr")
    assert french.code == 0
    assert french.out.startswith("Subject: Licences Adobe")
    assert cli("mail", "preview", "payment_reminder", "--json").json["language"] == "en"
    assert "payment_reminder" in cli("mail", "preview").out
    assert "did you mean payment_reminder?" in cli("mail", "preview", "payment_remnder").err
    unknown = cli("mail", "preview", "payment_reminder", "--sample", "?")
    assert unknown.code == 4
    assert "without po_number" in unknown.err
    assert cli("mail", "preview", "payment_reminder", "--language", "de").code == 4
    assert list(tmp_path.iterdir()) == []


def test_every_mail_is_written_with_a_sheet_that_holds_them_all(cli: Cli, tmp_path: Path) -> None:
    written = cli("mail", "preview", "--all", "--out", "mails", "--json").json
    assert written["without_samples"] == []
    folder = tmp_path / "mails"
    for language in ("fr", "en"):
        names = {file.stem for file in (folder / language).glob("*.html")}
        assert {"payment_reminder", "digest", "renewal_reminder--last-call"} <= names
        for ending in ("txt", "eml"):
            assert {file.stem for file in (folder / language).glob(f"*.{ending}")} == names
    sheet = (folder / "index.html").read_text(encoding="utf-8")
    assert sheet.count("<iframe") == written["mails"] == len(list(folder.glob("*/*.html")))
    page = re.sub(r'srcdoc="[^"]*"|<script>.*</script>|<pre>.*?</pre>', "", sheet, flags=re.DOTALL)
    assert not re.findall(r"src=|href=|url\(|@import|<link|https?:", page)
    assert not re.findall(r"src=&#34;(?!data:)", sheet)


def test_the_sheet_goes_into_an_empty_folder_or_its_own(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    (folder / "fr").mkdir(parents=True)
    (folder / "fr" / "mine.html").write_text("mine")
    refused = cli("mail", "preview", "--all", "--out", "mails")
    assert refused.code == 2
    assert "mails holds something else; name an empty folder" in refused.err
    (folder / "fr" / "mine.html").unlink()
    (folder / "fr").rmdir()
    assert cli("mail", "preview", "--all", "--out", "mails").code == 0
    (folder / "fr" / "mine.html").write_text("mine")
    (folder / "fr" / "old.html").write_text("old")
    (folder / "written.json").write_text('["fr/old.html", "fr/../../outside.html", 7]')
    (tmp_path / "outside.html").write_text("outside")
    assert cli("mail", "preview", "--all", "--out", "mails").code == 0
    assert not (folder / "fr" / "old.html").exists()
    assert (folder / "fr" / "mine.html").exists()
    assert (tmp_path / "outside.html").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--all"], "--all: it does not say where to; name a folder: vipflow mail preview --all --out mails\n"),
        (["--out", "mails"], "--out: a single mail is shown, not written; write them all: --all --out DIR\n"),
        (["payment_reminder", "--all", "--out", "x"], "--all: it is all mails, not payment_reminder alone; "),
    ],
)
def test_what_a_preview_cannot_mean_is_told(cli: Cli, arguments: list[str], says: str) -> None:
    refused = cli("mail", "preview", *arguments)
    assert refused.code == 2
    assert refused.err.startswith(says)


def test_a_preview_shows_what_a_reseller_has_of_its_own(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[folders]\nreseller_templates = "ours"\n')
    own = tmp_path / "ours" / "nord" / "payment_reminder" / "en"
    own.mkdir(parents=True)
    (own / "body.txt").write_text("Please pay {{ customer.company }}.\n")
    assert "Please pay Studio Kerguelen." in cli("mail", "preview", "payment_reminder", "--reseller", "nord").out
    assert "Please pay Studio Kerguelen." not in cli("mail", "preview", "payment_reminder").out
    assert cli("check").code == 0
    (own / "body.txt").write_text("Please pay {{ customer.compny }}.\n")
    wrong = cli("check")
    assert wrong.code == 1
    assert "ours/nord/payment_reminder/en/body.txt line 1: there is no fact 'compny' here" in wrong.err


# --- explain and next ----------------------------------------------------------------------------------------------


def test_explain_says_what_may_be_done_and_why_the_rest_may_not(cli: Cli, caught_up: str) -> None:
    found = cli("explain", caught_up)
    assert found.code == 0
    assert "Possible now" in found.out
    assert "is late in paying" in found.out
    told = {each["event"]: each for each in cli("explain", caught_up, "--json").json["possibilities"]}
    assert told["customer.note"]["possible"] is True
    assert told["purchase_authorization.create"]["reasons"][0]["code"] == "late_payment"


def test_next_says_what_the_clock_will_do_and_with_which_mails(cli: Cli, elan: str) -> None:
    steps = cli("next", elan, "--json").json["steps"]
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    assert ("purchase_authorization", "late", "suspended") in {
        (step["workflow"], step["from"], step["to"]) for step in steps
    }
    assert any(mail["template"] == "licences_deactivated" for step in steps for mail in step["mails"])
    assert "pending → late" in cli("next", elan).out


def test_next_looks_no_farther_than_asked(cli: Cli, caught_up: str) -> None:
    assert cli("next", caught_up, "--until", "2001-01-01").code == 2
    until = cli("next", caught_up, "--until", "2999-01-01", "--json").json["until"]
    assert until == "2999-01-01T22:59:59.999999Z"


def test_where_the_clock_has_nothing_to_do_next_says_so(cli: Cli, caught_up: str) -> None:
    assert "The clock has nothing to do" in cli("next", caught_up).out
