"""What `vipflow check` says to a stranger: the mistakes that people make, each with the sentence that mends it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from vipflow.operations.workflow_files import read_workflow_files

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "examples" / "library"
POLICY = (ROOT / "vipflow" / "vip" / "policies" / "vip-2024.toml").read_text(encoding="utf-8")

Edit = Callable[[Path], None]
LOAN = "workflows/loan.py"
REMINDER = "email_templates/loan_reminder"


def sub(file: str, before: str, after: str) -> Edit:
    """Writes something else in a file."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert before in text, before
        (folder / file).write_text(text.replace(before, after), encoding="utf-8")

    return edit


def loan(before: str, after: str) -> Edit:
    return sub(LOAN, before, after)


def put(file: str, text: str | bytes) -> Edit:
    """Writes a file."""

    def edit(folder: Path) -> None:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(text.encode() if isinstance(text, str) else text)

    return edit


def mail(text: str | bytes) -> Edit:
    return put(f"{REMINDER}/en/body.txt", text)


def gone(name: str) -> Edit:
    def edit(folder: Path) -> None:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()

    return edit


def folders(line: str) -> Edit:
    return sub("config.toml", 'workflows = "workflows"\n', f'workflows = "workflows"\n{line}\n')


def policy(before: str, after: str) -> list[Edit]:
    text = POLICY.replace('"vip-2024"', '"mine"', 1)
    assert before in text, before
    return [folders('policies = "numbers"'), put("numbers/mine.toml", text.replace(before, after, 1))]


def products(text: str) -> list[Edit]:
    return [folders('catalogues = "products.toml"'), put("products.toml", text)]


def second(*subs: tuple[str, str]) -> Edit:
    """A second workflow file, made from the first."""

    def edit(folder: Path) -> None:
        text = (folder / LOAN).read_text(encoding="utf-8")
        for before, after in subs:
            text = text.replace(before, after)
        (folder / "workflows" / "second.py").write_text(text, encoding="utf-8")

    return edit


ROW = '[[products]]\nsku = "65304579CA01A12"\nname = "A"\nsegment = "commercial"\nfamily = "teams"\n'
SEND = loan("    Reason,\n", "    Reason,\n    Send,\n")

GALLERY: dict[str, tuple[Edit | Sequence[Edit], str | Sequence[str]]] = {
    # Python
    "an event misspelt in a timer": (
        loan('Timer(lent, before("due_on", days=2), send=remind)', 'Timer(lent, before("due_on", days=2), send=remnd)'),
        [
            "workflows/loan.py line 129: 'remnd' is not known here (did you mean remind?)",
            'Timer(lent, before("due_on", days=2), send=remnd),',
        ],
    ),
    "a state misspelt in a transition": (
        loan("lent.to(overdue)", "lent.to(overdeu)"),
        "workflows/loan.py line 117: 'overdeu' is not known here (did you mean overdue?)",
    ),
    "a word of vipflow misspelt": (
        loan("    Opening,\n", "    Openning,\n"),
        "workflows/loan.py line 9: vipflow has no 'Openning' (did you mean Opening?)",
    ),
    "a keyword misspelt": (
        loan("reason_required=True", "reason_requird=True"),
        "workflows/loan.py line 126: Change takes no `reason_requird` (did you mean reason_required?)",
    ),
    "a module that is not there": (
        loan("import date, datetime", "import date, datetime\nimport requests2"),
        "workflows/loan.py line 4: there is no module 'requests2'; install it beside vipflow",
    ),
    "a workflow file that is not there": (
        loan("import date, datetime", "import date, datetime\nfrom workflows.laon import x"),
        "workflows/loan.py line 4: there is no file laon.py in this folder (did you mean loan?)",
    ),
    "no Python": (
        loan("is_subject = True", "is_subject = = True"),
        ["workflows/loan.py line 101: this is no Python: invalid syntax", "is_subject = = True"],
    ),
    "a tab": (
        loan("    facts = Loan", "\tfacts = Loan"),
        "loan.py line 102: this is no Python: inconsistent",
    ),
    "a NUL": (loan("= 0", "= 0\0"), "workflows/loan.py: this is no Python: source code string cannot contain null"),
    "a file that raises": (
        put("workflows/mine.py", "raise ValueError('two\\nlines')\n"),
        ["workflows/mine.py line 1: it raises ValueError: two lines"],
    ),
    "a file that leaves": (
        put("workflows/mine.py", "import sys\nsys.exit(0)\n"),
        "workflows/mine.py line 2: it ends the program (sys.exit); a workflow file only declares",
    ),
    "a file that calls itself": (
        put("workflows/mine.py", "def f(): f()\nf()\n"),
        "workflows/mine.py line 1: a function calls itself without end",
    ),
    "a folder for a file": (put("workflows/x.py/y", ""), "workflows/x.py: it is a folder; a workflow is a file"),
    "a file for the folder": (
        [gone("workflows"), put("workflows", "")],
        "it is a file; name the folder that holds it as folders.workflows",
    ),
    "no workflow in any file": (
        put(LOAN, "x = 1\n"),
        "no file declares one: a class that inherits from vipflow.Workflow",
    ),
    # states
    "two initial states": (
        loan("overdue = State()", "overdue = State(initial=True)"),
        "workflows/loan.py line 105: several states are marked initial (lent, overdue); mark one",
    ),
    "a state that nothing leads to": (
        loan("    settled =", "    stolen = State()\n    settled ="),
        "workflows/loan.py line 108: nothing leads to the state stolen; lead an event there, or take it out",
    ),
    "a state with no way out": (
        loan("    settled =", "    stolen = State()\n    steal = lent.to(stolen)\n    settled ="),
        "nothing leads out of the state stolen; write State(final=True) if it is an end",
    ),
    "a way out of an end": (
        loan("    fall_due =", "    find = lost.to(lent)\n    fall_due ="),
        "workflows/loan.py line 107: the state lost is final, and yet an event leads out of it",
    ),
    "a label misspelt": (
        loan('"overdue": Text', '"overdeu": Text'),
        [
            "line 109: state 'overdue' has no label",
            "line 111: `labels` names 'overdeu', which is no state (did you mean overdue?)",
            "2 problems.",
        ],
    ),
    "a label in one language": (
        loan('"overdue": Text("en retard", "overdue")', '"overdue": "overdue"'),
        "line 111: the label of 'overdue' is 'overdue'; write Text(fr=…, en=…)",
    ),
    "a state in quotes": (
        loan("settled = [returned", "settled = ['retrned'"),
        "line 108: 'retrned' is no state of this workflow (did you mean returned?); name the state itself",
    ),
    "a reserved name": (loan("lost", "state"), "line 107: 'state' is reserved by the library or the engine"),
    # declarations
    "an event in quotes, misspelt": (
        loan("send=fall_due", "send='fal_due'"),
        "line 130: timers: 'fal_due' is not an event of this workflow (did you mean fall_due?)",
    ),
    "a timer that means nothing in its state": (
        loan("Timer(overdue, every(days=7), send=remind)", "Timer(overdue, every(days=7), send=fall_due)"),
        "line 131: a timer of 'overdue' sends 'fall_due', which means nothing in that state; events there: "
        "declare_lost, give_back, remind",
    ),
    "a timer from what is no fact": (
        loan('before("due_on"', 'before("due"'),
        "line 129: a timer of 'lent' counts from 'due', which is no fact of Loan (did you mean due_on?)",
    ),
    "a timer of text": (
        loan("days=7", 'days="7"'),
        "line 131: a timer counts '7' days; write a whole number from 1 to 36,600, a list of them, or policy.<number>",
    ),
    "a timer of a number that no policy has": (
        [loan("days=7", "days=policy.payment_reminder_dais"), loan("    Reason,\n", "    Reason,\n    policy,\n")],
        "a timer of 'overdue' counts with policy.payment_reminder_dais, which no policy has (did you mean payment_",
    ),
    "no list": (
        loan('[Opening("lend", lent, data=Lend, build=lend)]', 'Opening("lend", lent, data=Lend, build=lend)'),
        'line 122: `openings` is an Opening; write openings = [Opening("lend", lent), …]',
    ),
    "a text for a mail": (
        loan(
            'Email("loan_overdue", to=reader, on=(overdue, overdue.on(remind)), while_=still_out, ladder="return")', "5"
        ),
        'line 138: `emails` holds 5, which is no Email; write Email("reminder", to=reader, on=late)',
    ),
    "a mail to nobody": (
        loan('Email("loan_reminder", to=reader', 'Email("loan_reminder", to="reader"'),
        "line 137: mail 'loan_reminder' goes to 'reader'; name an Audience(…)",
    ),
    "a kind misspelt": (
        loan("kind=REPORT", 'kind="raport"'),
        "line 125: event 'give_back' has the kind 'raport' (did you mean report?); write REQUEST, REPORT or INTERNAL",
    ),
    "no prefix": (loan('    prefix = "L"\n', ""), "workflows/loan.py line 94: the class says no `prefix`"),
    "a long prefix": (
        loan('prefix = "L"', 'prefix = "LOAN"'),
        "line 99: `prefix` is 'LOAN'; write one to three",
    ),
    "an async guard": (
        loan("def renewed_too_often", "async def renewed_too_often"),
        "line 60: the guard 'renewed_too_often' of lent → lent is async; guards are pure and never wait",
    ),
    "a guard of one argument": (
        loan("renewed_too_often(loan: Loan, data: NoData, view: View)", "renewed_too_often(loan: Loan)"),
        "line 60: the guard 'renewed_too_often' of lent → lent takes (loan) and is called with 3: the case's facts, "
        "the event's data and the view; write def renewed_too_often(facts, data, view)",
    ),
    "a record of two arguments": (
        loan("for_three_more_weeks(loan: Loan, data: NoData, view: View)", "for_three_more_weeks(loan, view)"),
        "line 56: event 'renew': 'for_three_more_weeks' takes (loan, view) and is called with 3",
    ),
    "a version without its upgrade": (
        loan("    renewals: int = 0", "    renewals: int = 0\n    facts_version = 2"),
        "line 42: Loan has facts_version = 2 and 0 upgrades; version 2 needs 1 upgrade, one for each version before it",
    ),
    # several workflows
    "a follow-up misspelt": (
        [SEND, loan("kind=REQUEST),", 'kind=REQUEST, then=[Send("loan.renw", to=print)]),')],
        "event 'renew' sends 'loan.renw', which no workflow knows (did you mean loan.renew?)",
    ),
    "follow-ups that go round": (
        [SEND, loan("kind=REQUEST),", 'kind=REQUEST, then=[Send("loan.renew", to=print)]),')],
        "workflows/loan.py line 125: follow-ups go round: loan.renew → loan.renew",
    ),
    "two workflows of one name": (
        second(),
        "workflows/second.py line 97: two workflows bear this name; give one another `name_in_events`",
    ),
    "two of one prefix, and of one collection": (
        second(('name_in_events = "loan"', 'name_in_events = "again"'), ("is_subject = True", "is_subject = False")),
        [
            "second.py line 98: its collection 'loans' is that of loan too; choose another",
            "second.py line 99: its prefix 'L' is that of loan too; choose another",
        ],
    ),
    "no subject": (
        loan("is_subject = True", "is_subject = False"),
        "exactly one workflow must hold the subjects: set `is_subject = True` in one class",
    ),
    "a trade misspelt": (
        loan("is_subject = True", 'is_subject = True\n    trade = "vpi"'),
        "there is no trade 'vpi'; say \"vip\", or leave it out",
    ),
    # templates
    "a mail without French": (gone(f"{REMINDER}/fr"), f"{REMINDER}/fr/subject.txt: is missing; write this file"),
    "an unknown word in a mail": (
        mail("Hello\n{{ readr }}\n"),
        [f"{REMINDER}/en/body.txt line 2: mails of loan_reminder know no fact 'readr' (did you mean reader?)"],
    ),
    "a filter misspelt": (mail("{{ due_on | dya }}"), "line 1: there is no filter 'dya' (did you mean day?)"),
    "a {{ left open": (mail("a\n{{ title\n"), "body.txt line 2: a {{ is never closed; write }} after the fact"),
    "an if left open": (
        mail("a\n{% if title %}\n"),
        "body.txt line 2: {% if %} is never closed; write {% endif %} where it ends",
    ),
    "an endif of nothing": (mail("{% endif %}"), "line 1: {% endif %} closes nothing: no {% if %} is open here"),
    "tags that cross": (
        mail("{% if title %}{% endfor %}"),
        "line 1: {% endfor %} stands where {% if %} must be closed first: {% endif %}",
    ),
    "an unknown tag": (mail("{% form x %}"), "there is no tag {% form %} (did you mean for?)"),
    "two words in one": (mail("{{ due on }}"), "'on' cannot stand here; a {{ holds one fact, perhaps with filters"),
    "a text left open": (mail("{{ 'a }}"), "a text in quotes is not closed"),
    "a sum": (mail("{{ title + 1 }}"), "nothing can be computed; let the workflow's vocabulary give the fact"),
    "a call": (mail("{{ title.upper() }}"), "nothing can be called; filters are written {{ due_on | day }}"),
    "a loop over what is no list": (
        mail("{% for x in [1, 2] %}{{ x }}{% endfor %}"),
        "a loop is written {% for line in lines %}, over a list of the facts",
    ),
    "a loop over a text": (
        mail("a\n{% for x in title %}{{ x }}{% endfor %}"),
        f"{REMINDER}/en/body.txt line 2: a loop goes over a list, and this fact is a text; write it as it is",
    ),
    "a day of what is no date": (
        mail("{{ title | day }}"),
        "body.txt line 1: 'Example & Co' is no date; the filters day, month and moment take one (sample: made-up",
    ),
    "an empty subject": (put(f"{REMINDER}/fr/subject.txt", ""), "fr/subject.txt: the subject is empty"),
    "a word that nobody gives": (
        loan('"title": loan.title, ', ""),
        "line 135: `record_block` names 'title', which the vocabulary does not give",
    ),
    "a word of one mail that nobody gives": (
        loan("on=lent.on(remind), while_", 'on=lent.on(remind), says=["dueon"], while_'),
        "line 137: mail 'loan_reminder' says 'dueon', which the vocabulary does not give (did you mean due_on?)",
    ),
    "a mail without end": (
        mail("{% include 'loan_reminder/en/body.txt' %}"),
        "loan_reminder/en/body.txt includes loan_reminder/en/body.txt, without end; take one {% include %} out",
    ),
    "a mail too long": (mail("x" * 100_001), "body.txt line 1: has over 100,000 characters; a mail is shorter"),
    "a mail too deep": (mail("{{ " + "(" * 3000 + "title" + ")" * 3000 + " }}"), "body.txt: it nests too deeply"),
    "a mail that is no UTF-8": (mail(b"\xe9"), "body.txt: it is not UTF-8 (byte 0); save it in UTF-8"),
    "a part misspelt": (
        put(f"{REMINDER}/en/bdoy.txt", ""),
        "en/bdoy.txt: is not read (did you mean body.txt?); a template is subject.txt, body.txt, body.html",
    ),
    "a template misspelt": (
        put("email_templates/loan_remider/en/body.txt", "x"),
        "template loan_remider: no workflow sends it (did you mean loan_reminder?)",
    ),
    # numbers and products
    "a number misspelt": (
        policy("payment_reminder_days", "payment_reminder_dayz"),
        [
            "version 2024-01-01: payment_reminder_dayz is not a number of this policy (did you mean payment_reminder_d",
            "numbers/mine.toml line 8: version 2024-01-01: payment_reminder_days is missing",
        ],
    ),
    "a number in quotes": (
        policy("order_due_days = 14", 'order_due_days = "14"'),
        'numbers/mine.toml line 12: version 2024-01-01: order_due_days = "14": write a whole number or "none", not',
    ),
    "a day in words": (
        policy("from = 2024-01-01", 'from = "spring"'),
        "numbers/mine.toml: versions[0].from: write a day as 2024-03-01",
    ),
    "versions out of order": (
        policy("[[versions]]", "[[versions]]\nfrom = 2025-01-01\n\n[[versions]]"),
        "line 11: version 2024-01-01 stands after version 2025-01-01; order them by date",
    ),
    "no TOML": (policy("name = ", "name == "), "numbers/mine.toml line 1: Invalid value"),
    "two policies that cannot be read": (
        [folders('policies = "n"'), put("n/a.toml", 'nmae = "a"\n'), put("n/b.toml", "name = b\n")],
        ["n/a.toml: there is no field nmae", "n/b.toml line 1: Invalid value", "2 problems."],
    ),
    "a product twice": (
        products(ROW * 2),
        "products.toml line 6: product 2 (65304579CA01A12): its SKU stands twice in this file; keep one",
    ),
    "a product with four mistakes": (
        products(ROW.replace("65304579", "1").replace("commercial", "comercial").replace("name", "nmae")),
        [
            "line 1: product 1 (1CA01A12): nmae is not a field (did you mean name?)",
            "sku = '1CA01A12': expected 8 digits",
            "name is missing",
            "segment = 'comercial': expected commercial, government or education (did you mean commercial?)",
        ],
    ),
    # settings
    "a section misspelt": (put("config.toml", "[mial]\n"), "there is no section mial (did you mean mail?)"),
    "a port in words": (put("config.toml", '[daemon]\nport = "x"\n'), "daemon.port = 'x': write a whole number"),
    "settings that are no TOML": (
        put("config.toml", "[daemon\n"),
        "it is not TOML: Expected ']' at the end",
    ),
    "a folder that is not there": (
        sub("config.toml", '"email_templates"', '"email_templtes"'),
        "email_templtes is not there (did you mean email_templates?); make it, or set folders.email_templates",
    ),
    "product files that are not there": (
        folders('catalogues = "nope.toml"'),
        "nope.toml: cannot be read: No such file or directory; set folders.catalogues in config.toml",
    ),
}

JARGON = re.compile(r"Traceback|statemachine|InvalidDefinition|[Jj]inja|TemplateSyntax|msgspec\.|\[Errno|Exception\b")


@pytest.fixture
def library(cli: Cli, tmp_path: Path) -> Path:
    shutil.copytree(LIBRARY, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "var"))
    return tmp_path


@pytest.mark.parametrize("mistake", GALLERY)
def test_check_explains(cli: Cli, library: Path, mistake: str) -> None:
    edits, says = GALLERY[mistake]
    for edit in [edits] if callable(edits) else edits:
        edit(library)
    found = cli("check")
    for part in [says] if isinstance(says, str) else says:
        assert part in found.err
    assert not JARGON.search(found.err.replace("a class made from msgspec.Struct", ""))
    assert found.code == 1


def test_the_library_itself_is_well(cli: Cli, library: Path) -> None:
    found = cli("check")
    assert (found.code, found.err) == (0, "")


def test_a_problem_has_its_file_and_line_in_json(cli: Cli, library: Path) -> None:
    loan("lent.to(overdue)", "lent.to(overdeu)")(library)
    ((problem,),) = cli("check", "--json").json["problems"].values()
    assert problem == {
        "says": "'overdeu' is not known here (did you mean overdue?)",
        "file": str(library / LOAN),
        "line": 117,
    }


def test_what_a_workflow_file_prints_does_not_spoil_the_answer(cli: Cli, library: Path) -> None:
    put("workflows/talkative.py", "print('hello')\n")(library)
    found = cli("check", "--json")
    assert found.json["ok"]
    assert "hello" in found.err


def test_a_workflow_file_that_never_ends_is_given_up(library: Path) -> None:
    put("workflows/mine.py", "while True:\n    try:\n        pass\n    except Exception:\n        pass\n")(library)
    classes, problems = read_workflow_files(library / "workflows", seconds=0.2)
    assert [cls.__name__ for cls in classes] == ["LoanWorkflow"]
    assert "mine.py line" in str(problems[0])
    assert "it takes too long to be read" in str(problems[0])


def test_workflow_files_import_each_other_whatever_the_order_of_their_names(cli: Cli, library: Path) -> None:
    put("workflows/zebra.py", "WEEKS = 4\n")(library)
    loan("WEEKS_OF_A_LOAN = 3", "from workflows.zebra import WEEKS as WEEKS_OF_A_LOAN")(library)
    assert cli("check").code == 0
