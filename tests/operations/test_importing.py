"""Existing members taken over from tables as resellers export them."""

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.operations.conftest import World
from vipflow.errors import BadInput
from vipflow.operations.customer_lists import list_customers
from vipflow.operations.customer_page import show_customer
from vipflow.operations.importing import ImportReport, import_members
from vipflow.store.tables import metadata

FRENCH = """\
Numéro VIP;Société;Segment de marché;Adresse;Code postal;Ville;Pays;Contact;E-mail;Langue;Date anniversaire;\
Licences;Géré par;Remarque
1A2B;Élan Vert;Commercial;1 rue des Lilas;1000;Bourg-en-Bresse;France;Zoé Roux;zoe@elan.example;Français;15/09/2024;\
65305156CA01A12 x 5 | Acrobat Pro for Teams x 2;Bob;fidèle
3C4D;Lycée Été;Enseignement;2 place du Marché;75011;Paris;FR;Luc Noël;luc@lycee.example;fr;2024-12-01;\
30001850CB01A12=10;;
"""


def taken(world: World, folder: Path, text: str | bytes, name: str = "bob", **how: object) -> ImportReport:
    file = folder / "members.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_members(world.installation, world.who(name), file, **how)  # type: ignore[arg-type]  # why: options pass through


def row_counts(world: World) -> dict[str, int]:
    with world.installation.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_french_export_is_understood_whatever_its_dress(
    world: World, tmp_path: Path, encoding: str, separator: str
) -> None:
    report = taken(world, tmp_path, FRENCH.replace(";", separator).encode(encoding))
    assert [line.outcome for line in report.lines] == ["adopted", "adopted"], report.lines
    assert report.ignored == ("Remarque",)
    page = show_customer(world.installation, world.who(), "1A2B")
    assert (page.facts.company, page.facts.postal_code, page.facts.country) == ("Élan Vert", "01000", "FR")
    assert [(row.product, row.quantity) for row in page.products] == [
        ("Photoshop for Teams", 5),
        ("Acrobat Pro for Teams", 2),
    ]
    assert page.summary.anniversary == date(2024, 9, 15)
    assert page.facts.owner == "bob@north.example"
    assert show_customer(world.installation, world.who(), "3C4D").facts.segment == "education"


def test_an_english_export_with_commas_is_understood(world: World, tmp_path: Path) -> None:
    text = (
        "VIP ID,Company Name,Address,Zip,City,Country Code,First Name,Last Name,Email Address,Anniversary Date\n"
        '5E6F,"Smith, Jones & Co",1 High Street,SW1A 1AA,London,GB,Ann,Lee,ann@smith.example,2024-10-01\n'
    )
    assert taken(world, tmp_path, text).lines[0].outcome == "adopted"
    page = show_customer(world.installation, world.who(), "5E6F")
    assert (page.facts.company, page.facts.contact.name) == ("Smith, Jones & Co", "Ann Lee")


def test_a_second_import_of_the_same_file_changes_nothing(world: World, tmp_path: Path) -> None:
    text = FRENCH + "9Z;Falsch;Commercial;1 rue;75O1;Paris;FR;Luc;luc@x.example;fr;;;;\n"
    first = taken(world, tmp_path, FRENCH)
    taken(world, tmp_path, text)
    world.pass_days(1)
    page = show_customer(world.installation, world.who(), "1A2B")
    before = row_counts(world)
    again = taken(world, tmp_path, text)
    assert row_counts(world) == before
    assert again.lines[2].outcome == "wrong"
    again = taken(world, tmp_path, FRENCH)
    assert row_counts(world) == before
    assert [line.outcome for line in again.lines] == ["there already"] * 2
    assert [line.customer for line in again.lines] == [line.customer for line in first.lines]
    assert show_customer(world.installation, world.who(), "1A2B").history == page.history


def test_a_line_that_changed_since_is_told_field_by_field_and_not_applied(world: World, tmp_path: Path) -> None:
    taken(world, tmp_path, FRENCH)
    changed = taken(world, tmp_path, FRENCH.replace("x 5", "x 50").replace("1 rue", "3 rue").replace(";Bob;", ";Cleo;"))
    assert [line.outcome for line in changed.lines] == ["different", "there already"]
    found = {each.field: (each.known, each.said) for each in changed.lines[0].differences}
    assert found == {
        "address": ("1 rue des Lilas", "3 rue des Lilas"),
        "licences": ("2 × 65304521CA01A12, 5 × 65305156CA01A12", "2 × 65304521CA01A12, 50 × 65305156CA01A12"),
        "owner": ("bob@north.example", "cleo@north.example"),
    }
    remedies = {each.field: each.remedy for each in changed.lines[0].differences}
    assert remedies["owner"] == f"vipflow customer assign {changed.lines[0].customer} --to EMAIL"
    page = show_customer(world.installation, world.who(), "1A2B")
    assert (page.licences, page.facts.address, page.facts.owner) == (7, "1 rue des Lilas", "bob@north.example")


def test_what_a_table_does_not_say_is_no_difference(world: World, tmp_path: Path) -> None:
    """The same members, exported with fewer columns, by somebody else."""
    taken(world, tmp_path, FRENCH)
    fewer = "VIP;société;adresse;code postal;ville;pays;contact;e-mail\n"
    fewer += "1A2B;Élan Vert;1 rue des Lilas;01000;Bourg-en-Bresse;FR;Zoé Roux;zoe@elan.example\n"
    assert [line.outcome for line in taken(world, tmp_path, fewer, name="ada").lines] == ["there already"]


def test_what_was_refused_can_be_put_right_and_imported_again(world: World, tmp_path: Path) -> None:
    """Two customers under one reference of the reseller's own."""
    table = "VIP number;Reference;Company;Segment;Address;Postal code;City;Country;Contact;E-mail\n"
    one = "1A2B;K-1;One;Commercial;1 rue;75011;Paris;FR;Zoé Roux;zoe@one.example\n"
    two = "3C4D;K-1;Two;Commercial;2 rue;75011;Paris;FR;Luc Noël;luc@two.example\n"
    assert [line.outcome for line in taken(world, tmp_path, table + one + two).lines] == ["adopted", "wrong"]
    assert [line.outcome for line in taken(world, tmp_path, table + two).lines] == ["refused"]
    assert [line.outcome for line in taken(world, tmp_path, table + two).lines] == ["refused"]
    right = table + one + two.replace("K-1", "K-2")
    corrected = taken(world, tmp_path, right)
    assert [(line.outcome, line.problems) for line in corrected.lines] == [("there already", ()), ("adopted", ())]
    assert [line.outcome for line in taken(world, tmp_path, right).lines] == ["there already", "there already"]


def test_no_mail_leaves(world: World, tmp_path: Path) -> None:
    taken(world, tmp_path, FRENCH)
    assert show_customer(world.installation, world.who(), "1A2B").mails == ()


def test_a_dry_run_says_the_same_and_writes_nothing(world: World, tmp_path: Path) -> None:
    text = FRENCH + "3X;Bad Code;commercial;1 rue;75O11;Paris;FR;Luc;luc@x.example;fr;;;;\n"
    planned = taken(world, tmp_path, text, dry_run=True)
    assert [line.outcome for line in planned.lines] == ["would be adopted", "would be adopted", "wrong"]
    assert list_customers(world.installation, world.who()).items == ()
    done = taken(world, tmp_path, text)
    assert [line.outcome for line in done.lines] == ["adopted", "adopted", "wrong"]
    assert done.lines[2].problems == planned.lines[2].problems
    after = taken(world, tmp_path, text, dry_run=True)
    assert [line.outcome for line in after.lines] == ["there already", "there already", "wrong"]


def test_all_that_is_wrong_with_a_line_is_said_and_the_others_stand(world: World, tmp_path: Path) -> None:
    text = (
        FRENCH
        + "4Z;Mauvais;jardinage;1 rue;75011;Paris;Atlantide;Luc;luc@x.example;klingon;31/02/2024;photoshop;Zed;\n"
    )
    report = taken(world, tmp_path, text)
    assert report.count("adopted") == 2
    wrong = report.lines[2]
    assert (wrong.outcome, wrong.lines) == ("wrong", (4,))
    for field in ("segment", "country", "language", "anniversary", "licences", "owner"):
        assert any(problem.startswith(field) for problem in wrong.problems), (field, wrong.problems)


def test_a_product_per_row_makes_one_customer(world: World, tmp_path: Path) -> None:
    text = (
        "VIP number;company;address;postal code;city;country;contact;e-mail;anniversary;product;quantity\n"
        "7A;Élan;1 rue;75011;Paris;FR;Zoé;zoe@elan.example;2024-09-15;Photoshop for Teams;5\n"
        "7A;Élan;1 rue;75011;Paris;FR;Zoé;zoe@elan.example;2024-09-15;65304521CA01A12;1 200\n"
    )
    report = taken(world, tmp_path, text)
    assert [(line.lines, line.outcome) for line in report.lines] == [((2, 3), "adopted")]
    assert show_customer(world.installation, world.who(), "7A").licences == 1205


def test_rows_of_one_number_that_disagree_are_refused(world: World, tmp_path: Path) -> None:
    text = (
        "VIP number;company;address;postal code;city;country;contact;e-mail;product;quantity\n"
        "7A;Élan;1 rue;75011;Paris;FR;Zoé;zoe@elan.example;photoshop for teams;5\n"
        "7A;Autre;1 rue;75011;Paris;FR;Zoé;zoe@elan.example;65304521CA01A12;1\n"
    )
    report = taken(world, tmp_path, text)
    assert report.lines[0].outcome == "wrong"
    assert any("company differs" in problem for problem in report.lines[0].problems)


def test_open_authorizations_come_in_a_second_table(world: World, tmp_path: Path) -> None:
    opened = tmp_path / "open.csv"
    opened.write_text(
        "Numéro VIP;Créée le;Bon de commande;Produit;Quantité;Commandée;Numéro de commande Adobe\n"
        "1A2B;20/02/2024;PO-9;Photoshop for Teams;3;;\n"
        "1A2B;20/02/2024;PO-9;Illustrator for Teams;1;;\n"
        "1A2B;01/02/2024;PO-8;InDesign for Teams;2;oui;AO-8\n"
        "9Z9Z;01/02/2024;PO-7;InDesign for Teams;2;;\n",
        encoding="utf-8",
    )
    report = taken(world, tmp_path, FRENCH, authorizations=opened)
    assert [line.outcome for line in report.lines] == ["adopted", "adopted", "wrong"]
    assert report.lines[2].vip_number == "9Z9Z"
    page = show_customer(world.installation, world.who(), "1A2B")
    found = {row.po_number: (row.state, sum(line.quantity for line in row.lines)) for row in page.open_authorizations}
    assert found == {"PO-9": ("pending", 4), "PO-8": ("ordered", 2)}
    assert [order.order_number for order in page.orders] == ["AO-8"]


def test_what_is_no_table_of_members_is_told(world: World, tmp_path: Path) -> None:
    for text, told in (
        ("", "it is empty"),
        ("name,colour\nx,y\n", "there is no column 'numéro VIP'"),
        ("VIP;n° VIP;société;e-mail\n", "two columns mean vip_number"),
        (b"PK\x03\x04rest", "it is a spreadsheet"),
        ('VIP;société;e-mail\n"a;b;c\n', "is no row of a table"),
        ("VIP;société;e-mail\na;b;c;d\n", "line 2 has 4 cells"),
    ):
        with pytest.raises(BadInput, match=told):
            taken(world, tmp_path, text)
    with pytest.raises(BadInput, match="cannot be read"):
        import_members(world.installation, world.who(), tmp_path / "nowhere.csv")


def test_a_viewer_imports_nothing(world: World, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not allow"):
        taken(world, tmp_path, FRENCH, name="vic")


def test_progress_is_told_to_the_end(world: World, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    taken(world, tmp_path, FRENCH, progress=lambda done, all_: told.append((done, all_)))
    assert told[-1] == (2, 2)
