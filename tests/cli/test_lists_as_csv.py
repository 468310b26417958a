"""Every list as CSV: all of it, in UTF-8, on stdout or in a file."""

import csv
import inspect
import os
import pty
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import AUTHORIZE, INVITE, Cli, Result, json_lines
from tests.cli.test_tree import LEAVES

LISTS = [
    path
    for path, command in LEAVES.items()
    if path.endswith(" list") or any("--csv" in each.opts for each in command.params)
]


def table(found: Result) -> list[list[str]]:
    assert found.code == 0, found.err
    return list(csv.reader(StringIO(found.out), strict=True))


def of_a_list(path: str) -> bool:
    """Whether the command gives rows, and not one record or what became of an act."""
    return ".out.rows(" in inspect.getsource(LEAVES[path].callback.__wrapped__) and "mail preview" not in path


@pytest.mark.parametrize("path", sorted({*LISTS, *filter(of_a_list, LEAVES)}))
def test_every_list_is_there_as_csv_with_its_columns_even_when_it_is_empty(
    cli: Cli, elan: str, path: str, tmp_path: Path
) -> None:
    ref = [elan] if path == "history" else []
    header, *rows = table(cli(*path.split(), *ref, "--csv"))
    assert len(header) == len(set(header)) > 1
    assert all(name.isidentifier() for name in header)
    assert all(len(row) == len(header) for row in rows)
    as_json = cli(*path.split(), *ref, "--json", *(["--each"] if path == "incident list" else [])).json
    items = as_json["items"] if isinstance(as_json, dict) else as_json
    assert len(rows) == len(items)
    file = tmp_path / "list.csv"
    written = cli(*path.split(), *ref, "--excel", "--out", str(file))
    assert (written.code, written.out) == (0, "")
    assert f"{len(items):,} rows are in {file}" in written.err
    content = file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert next(csv.reader(StringIO(content.decode("utf-8-sig")), delimiter=";", strict=True)) == header
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("list")] == ["list.csv"]


def invited(number: int) -> dict[str, Any]:
    data: dict[str, Any] = INVITE["data"]
    contact = {"name": "Zoé", "email": f"z@c{number}.example"}
    return {
        **INVITE,
        "id": f"i{number}",
        "subject": f"customers/n-{number}",
        "data": {**data, "company": f"Client {number:05}", "contact": contact},
    }


def test_a_list_of_many_pages_comes_whole_or_as_far_as_asked(cli: Cli, nord: int) -> None:
    posted = cli("event", "post", "-", stdin=json_lines(*(invited(number) for number in range(1201))).encode())
    assert posted.code == 0, posted.err
    header, *rows = table(cli("customer", "list", "--csv"))
    names = [row[header.index("company")] for row in rows]
    assert names == [f"Client {number:05}" for number in range(1201)]
    assert [row[header.index("reference")] for row in rows[:2]] == ["n-0", "n-1"]
    assert len(table(cli("customer", "list", "--csv", "--limit", "7"))) == 8
    assert len(table(cli("mail", "list", "--csv"))) == 1202
    assert len(table(cli("mail", "list", "--csv", "--limit", "1100"))) == 1101
    (one,) = table(cli("customer", "list", "--csv", "--search", "00042"))[1:]
    assert one[header.index("company")] == "Client 00042"


def test_what_customers_are_called_never_becomes_a_formula(cli: Cli, nord: int) -> None:
    evil = invited(1)
    evil["data"] = {**evil["data"], "company": "=cmd|' /C calc'!A0", "address": "@1;-2"}
    authorize = {**AUTHORIZE, "subject": "customers/n-1/authorizations/PO-9"}
    authorize["data"] = {**AUTHORIZE["data"], "po_number": "+1"}
    assert cli("event", "post", "-", stdin=json_lines(evil, authorize).encode()).code == 0
    for path in ("customer list", "authorization list"):
        for row in table(cli(*path.split(), "--csv"))[1:]:
            assert not [cell for cell in row if cell[:1] in tuple("=+-@")]
            assert "'=cmd|' /C calc'!A0" in row
    found = cli("authorization", "list", "--csv").out
    assert '"\'+1"' in found
    assert ",5," not in found, "licences are one cell"


def test_numbers_stay_numbers_and_instants_say_their_zone(cli: Cli, elan: str) -> None:
    found = cli("history", elan, "--csv").out.splitlines()
    assert found[1].startswith('1,"')
    assert '"2024-03-01T10:00:00+01:00"' in found[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--csv", "--json"], "choose one of them"),
        (["--out", "x.csv"], "add --csv or --excel"),
        (["--csv", "--out", "nowhere/x.csv"], "nowhere/x.csv cannot be written: No such file or directory"),
        (["--csv", "--out", "."], "cannot be written: Is a directory"),
    ],
)
def test_what_does_not_go_together_is_told(cli: Cli, nord: int, options: list[str], told: str) -> None:
    found = cli("team", "list", *options)
    assert (found.code, found.out) == (2, "")
    assert told in found.err


def test_a_list_that_fails_leaves_the_file_as_it_was(cli: Cli, nord: int, tmp_path: Path) -> None:
    file = tmp_path / "kept.csv"
    file.write_text("yesterday's")
    assert cli("customer", "list", "--csv", "--segment", "none", "--out", str(file)).code == 2
    assert file.read_text() == "yesterday's"
    assert sorted(each.name for each in tmp_path.iterdir() if "kept" in each.name) == ["kept.csv"]


# --- and in again --------------------------------------------------------------------------------------------------


def test_a_profile_of_the_settings_reads_a_table_and_check_tells_what_is_wrong_with_it(
    cli: Cli, nord: int, place: Path
) -> None:
    (place / "config.toml").write_text(
        '[imports.crm]\nseparator = "|"\nconstants = {country = "FR"}\n'
        '[imports.crm.columns]\nvip_number = "Matricule"\ncompany = ["Raison", "Nom du compte"]\n'
    )
    (place / "crm.csv").write_text(
        "Matricule|Nom du compte|Client|adresse|CP|ville|contact|mail|Score\n"
        "1A|Élan|non|1 rue|75011|Paris|Zoé|zoe@elan.example|9\n",
        encoding="utf-8",
    )
    assert "profiles of imports" in cli("check").out
    planned = cli("customer", "import", "crm.csv", "--profile", "crm", "--dry-run")
    assert planned.code == 0, planned.err
    assert "Nom du compte → company" in planned.out
    assert "Client, Score" in " ".join(planned.out.split())
    done = cli("customer", "import", "crm.csv", "--profile", "crm", "--yes", "--json").json
    assert [line["outcome"] for line in done["lines"]] == ["adopted"]
    assert done["tables"][0]["columns"]["company"] == "Nom du compte"
    (place / "config.toml").write_text('[imports.crm.columns]\ncompagny = "x"\n')
    wrong = cli("check")
    assert wrong.code == 1
    assert "imports.crm.columns: there is no column 'compagny' (did you mean company?)" in wrong.err


ONE = "VIP;société;adresse;CP;ville;pays;contact;e-mail\n1A;Élan;1 rue;75011;Paris;FR;Zoé;zoe@elan.example\n"


def test_without_a_terminal_an_import_wants_a_yes_and_only_where_there_is_something_to_do(
    cli: Cli, nord: int, place: Path
) -> None:
    (place / "m.csv").write_text(ONE, encoding="utf-8")
    found = cli("customer", "import", "m.csv")
    assert (found.code, found.err) == (
        2,
        "the import: it would take over 1 customer; add --yes to do it, or --dry-run to see the plan alone\n",
    )
    assert cli("customer", "import", "m.csv", "--json").error["remedy"].startswith("add --yes")
    assert cli("customer", "list", "--json").json["items"] == []
    assert cli("customer", "import", "m.csv", "--yes").code == 0
    again = cli("customer", "import", "m.csv")
    assert (again.code, again.err) == (0, "There is nothing to write.\n")


def test_on_a_terminal_an_import_shows_the_plan_and_asks(cli: Cli, nord: int, place: Path) -> None:
    (place / "m.csv").write_text(ONE, encoding="utf-8")
    for answer, code, customers in ((b"n\n", 130, 0), (b"y\n", 0, 1)):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "vipflow", "customer", "import", "m.csv"]
        with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asked:
            os.write(ours, answer)
            said = asked.communicate()[0].decode()
        os.close(ours)
        os.close(theirs)
        assert asked.returncode == code, said
        assert "No mail would leave." in said
        assert "Take over 1 customer? [y/N]" in said
        assert len(cli("customer", "list", "--json").json["items"]) == customers
