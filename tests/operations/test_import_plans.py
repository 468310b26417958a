"""An import is planned before it is done: what is alike, what would leave, and what changed in between."""

from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as other

from tests.operations.conftest import World
from vipflow.errors import BadInput, Conflict
from vipflow.operations import customers, orders, team
from vipflow.operations.csvwriting import columns_of, header, written
from vipflow.operations.customer_lists import list_customers
from vipflow.operations.customer_page import show_customer
from vipflow.operations.customer_sheets import CustomerSheet, customer_sheets
from vipflow.operations.importing import ImportReport, Plan, carry_out, import_members, plan_import
from vipflow.operations.importprofiles import profile_problems
from vipflow.operations.resellers import add_reseller
from vipflow.operations.who import who_asks
from vipflow.profiles import ImportProfile

HEAD = "VIP;société;adresse;code postal;ville;pays;contact;e-mail;géré par;invitation\n"


def row(number: str, company: str, email: str, manager: str = "", invitation: str = "") -> str:
    return f"{number};{company};1 rue;75011;Paris;FR;Zoé Roux;{email};{manager};{invitation}\n"


def planned(world: World, folder: Path, text: str, **how: Any) -> Plan:
    file = folder / "members.csv"
    file.write_text(text, encoding="utf-8")
    return plan_import(world.installation, world.who(), file, **how)


def outcomes(report: ImportReport) -> list[str]:
    return [line.outcome for line in report.lines]


def known(world: World) -> list[tuple[str, str]]:
    return [(each.company, each.invitation) for each in list_customers(world.installation, world.who()).items]


def with_profile(world: World, **profile: Any) -> World:
    settings = world.installation.settings.model_copy(update={"imports": {"crm": ImportProfile(**profile)}})
    return World(replace(world.installation, settings=settings), world.clock)


# --- alike ---------------------------------------------------------------------------------------------------------


def test_a_line_that_looks_like_a_customer_or_another_line_says_so(world: World, tmp_path: Path) -> None:
    there = world.invite("Élan Vert")  # elan@elan-vert.example
    text = HEAD + row("1A", "ELAN  vert", "a@autre.example") + row("2B", "Filiale", "b@elan-vert.example")
    text += (
        row("1a", "Copie", "c@copie.example") + row("3C", "Seule", "x@gmail.com") + row("4D", "Libre", "y@gmail.com")
    )
    alike = [
        {(each.why, each.customer, each.line) for each in line.alike}
        for line in planned(world, tmp_path, text).report.lines
    ]
    assert alike == [
        {("the same name", there, None)},
        {("the same e-mail domain", there, None)},
        {("almost the same VIP number", None, 2)},
        set(),
        set(),
    ]


def test_one_that_waits_for_its_number_may_be_the_same_and_the_plan_says_what_to_do(
    world: World, tmp_path: Path
) -> None:
    there = world.invite("Élan Vert")
    (line,) = planned(world, tmp_path, HEAD + row("1A", "Élan Vert", "x@autre.example")).report.lines
    assert line.alike[0].remedy == (
        f"if it is the same, record its number instead: vipflow customer vip-number {there} NUMBER"
    )
    assert customers.record_number(world.installation, world.who(), there, "1A").outcome == "applied"
    (line,) = planned(world, tmp_path, HEAD + row("1A", "Élan Vert", "elan@elan-vert.example")).report.lines
    assert (line.customer, [each.field for each in line.differences]) == (there, ["address", "city", "postal_code"])


def test_a_number_that_differs_in_capitals_from_a_known_one_is_alike(world: World, tmp_path: Path) -> None:
    carry_out(world.installation, world.who(), planned(world, tmp_path, HEAD + row("1A2B", "Élan", "a@elan.example")))
    (line,) = planned(world, tmp_path, HEAD + row("1a2b", "Autre", "b@autre.example")).report.lines
    assert [each.why for each in line.alike] == ["almost the same VIP number, 1A2B"]


# --- invitations ---------------------------------------------------------------------------------------------------


def test_nobody_is_invited_unless_asked(world: World, tmp_path: Path) -> None:
    text = HEAD + row("1A", "Membre", "a@membre.example") + row("", "Sans numéro", "b@sans.example")
    text += row("", "Prospect", "c@prospect.example", "", "à inviter") + row(
        "9Z", "Parti", "d@parti.example", "", "retirée"
    )
    report = import_members(world.installation, world.who(), planned(world, tmp_path, text).source.customers.file)
    assert outcomes(report) == ["adopted", "wrong", "left out", "left out"]
    assert "invited with --invite" in report.lines[1].problems[0]
    assert report.mails == {}
    assert known(world) == [("Membre", "accepted")]


def test_asked_to_invite_the_plan_counts_the_mails_and_a_second_time_sends_none(world: World, tmp_path: Path) -> None:
    text = HEAD + row("1A", "Membre", "a@membre.example") + row("", "Prospect", "c@prospect.example")
    plan = planned(world, tmp_path, text, invite=True)
    assert (outcomes(plan.report), plan.report.mails) == (["would be adopted", "would be invited"], {"invitation": 1})
    assert known(world) == []
    done = carry_out(world.installation, world.who(), plan)
    assert (outcomes(done), done.mails) == (["adopted", "invited"], {"invitation": 1})
    assert known(world) == [("Membre", "accepted"), ("Prospect", "sent")]
    prospect = str(done.lines[1].customer)
    assert [mail.template for mail in show_customer(world.installation, world.who(), prospect).mails] == ["invitation"]
    again = planned(world, tmp_path, text.replace("1 rue", "2 rue"), invite=True).report
    assert (outcomes(again), again.mails) == (["different", "different"], {})
    assert outcomes(planned(world, tmp_path, text, invite=True).report) == ["there already", "there already"]


def test_what_is_invited_has_no_licences_yet_and_one_line(world: World, tmp_path: Path) -> None:
    head = HEAD.replace("VIP;", "licences;")
    text = head + row("Photoshop for Teams x 2", "Prospect", "a@p.example") + row("", "Zwei", "b@p.example")
    text += row("", "Encore", "B@p.example")
    lines = planned(world, tmp_path, text, invite=True).report.lines
    assert [line.outcome for line in lines] == ["wrong", "would be invited", "wrong"]
    assert "only a member has them" in lines[0].problems[0]
    assert lines[2].problems == ("the e-mail b@p.example stands on line 3 already, with another customer",)


# --- plan and doing ------------------------------------------------------------------------------------------------


def test_a_file_that_changed_since_the_plan_is_not_imported(world: World, tmp_path: Path) -> None:
    plan = planned(world, tmp_path, HEAD + row("1A", "Élan", "a@elan.example"))
    plan.source.customers.file.write_text(HEAD + row("1A", "Autre", "a@elan.example"), encoding="utf-8")
    with pytest.raises(Conflict, match="changed since it was planned; nothing was written"):
        carry_out(world.installation, world.who(), plan)
    assert known(world) == []


def test_what_changed_here_since_the_plan_is_told_and_left(world: World, tmp_path: Path) -> None:
    """Somebody adopts one of them meanwhile; the manager of another leaves the team; the third goes in."""
    text = HEAD + row("1A", "Un", "a@un.example") + row("2B", "Deux", "b@deux.example", "Cleo")
    plan = planned(world, tmp_path, text + row("3C", "Trois", "c@trois.example"))
    form = {
        "company": "Un",
        "segment": "commercial",
        "country": "FR",
        "address": "x",
        "city": "Paris",
        "vip_number": "1A",
    }
    form |= {"postal_code": "75011", "contact": {"name": "Zoé", "email": "z@un.example"}}  # type: ignore[dict-item]  # why: a form is any
    assert customers.adopt(world.installation, world.who(), form).outcome == "applied"
    team.deactivate_member(world.installation, world.who("ada"), "cleo@north.example")
    done = carry_out(world.installation, world.who(), plan)
    assert outcomes(done) == ["there already", "left out", "adopted"]
    assert done.otherwise == 2
    assert "since it was planned" in done.lines[0].problems[0]
    assert "otherwise than planned" in done.lines[1].problems[0]


class Stop(Exception):
    """Raised in the middle of an import."""


def test_an_import_cut_short_is_finished_by_importing_again(world: World, tmp_path: Path) -> None:
    text = HEAD + "".join(row(f"V{n:04}", f"Client {n}", f"a@c{n}.example") for n in range(450))
    plan = planned(world, tmp_path, text)

    def stop(done: int, _all: int) -> None:
        if done == 200:
            raise Stop

    with pytest.raises(Stop):
        carry_out(world.installation, world.who(), plan, stop)
    assert list_customers(world.installation, world.who()).counts[0].count == 200
    again = import_members(world.installation, world.who(), plan.source.customers.file)
    assert (again.count("there already"), again.count("adopted"), again.otherwise) == (200, 250, 0)
    assert list_customers(world.installation, world.who()).counts[0].count == 450


def test_products_of_a_customer_may_stand_far_apart(world: World, tmp_path: Path) -> None:
    head = HEAD.replace("\n", ";produit;quantité\n")
    lines = [row(f"V{n:04}", f"C{n}", f"a@c{n}.example").replace("\n", ";;\n") for n in range(300)]
    first = row("1A", "Élan", "a@elan.example").replace("\n", ";Photoshop for Teams;5\n")
    last = row("1A", "Élan", "a@elan.example").replace("\n", ";65304521CA01A12;2\n")
    report = planned(world, tmp_path, head + first + "".join(lines) + last).report
    assert len(report.lines) == 301
    assert [line.lines for line in report.lines if line.vip_number == "1A"] == [(2, 303)]


# --- profiles ------------------------------------------------------------------------------------------------------


def test_a_profile_says_how_a_source_writes(world: World, tmp_path: Path) -> None:
    told = with_profile(
        world,
        columns={"vip_number": "Kd-Nr", "company": ["Firma", "Kunde"], "contact_name": "Person", "owner": []},
        constants={"country": "DE", "language": "en"},
        words={"segment": {"ÖD": "government"}},
        dates="month/day/year",
        decimal=",",
    )
    text = "Kd-Nr|Kunde|Segment|address|zip|city|Person|e-mail|anniversary|product|quantity|owner\n"
    text += "K1|Amt Süd|öd|Weg 1|10115|Berlin|Uwe Ohm|u@amt.example|3/14/2025|30002907CC01A12|1.200,00|niemand\n"
    plan = planned(told, tmp_path, text, profile="crm")
    assert outcomes(plan.report) == ["would be adopted"], plan.report.lines
    carry_out(told.installation, told.who(), plan)
    page = show_customer(told.installation, told.who(), "K1")
    assert (page.facts.segment, page.facts.country, page.facts.language) == ("government", "DE", "en")
    assert (page.licences, page.summary.anniversary) == (1200, date(2025, 3, 14))
    assert page.facts.owner == "bob@north.example"


def test_a_profile_that_is_not_there_or_cannot_be_is_told(world: World, tmp_path: Path) -> None:
    told = with_profile(
        world,
        columns={"compagny": "Kunde", "city": "Ort", "region": "ort"},
        constants={"country": "Atlantis"},
        words={"segment": {"X": "jardin"}},
    )
    assert [problem.partition(": ")[0] for problem in profile_problems(told.installation.settings)] == [
        "imports.crm.columns",
        "imports.crm.columns",
        "imports.crm.words.segment, 'X'",
        "imports.crm.constants.country",
    ]
    with pytest.raises(BadInput, match=r"there is no column 'compagny' \(did you mean company\?\)"):
        planned(told, tmp_path, HEAD, profile="crm")
    with pytest.raises(BadInput, match=r"there is no profile 'cmr' \(did you mean crm\?\)"):
        planned(told, tmp_path, HEAD, profile="cmr")


# --- out and in again ----------------------------------------------------------------------------------------------

MEMBERS = """\
VIP;société;segment;adresse;code postal;ville;région;pays;contact;e-mail;langue;offre;date anniversaire;anchor day;\
licences;renouvelé;géré par;copies;votre référence
1A;=Élan Vert;commercial;+1 rue;75011;Paris;IDF;FR;-Zoé;zoe@elan.example;fr;teams enterprise;31/03/2024;;\
65305156CA01A12 x 5 | 65304521CA01A12 x 2;65305156CA01A12 x 3;Cleo;Anna <anna@elan.example>, p@elan.example;K-1
2B;Smith, Jones;government;1 High St;SW1A 1AA;London;;GB;@Ann;ann@smith.example;en;teams;2024-10-15;16;;;;;
3C;Neu;commercial;1 rue;01000;Bourg;;FR;Luc;luc@neu.example;fr;teams;;;;;;;
"""


def test_what_is_exported_makes_the_same_members_elsewhere(world: World, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text(
        MEMBERS.replace('"', '""').replace(';=Élan ""Vert""', ';"=Élan ""Vert"""').replace('""Vert""";', '""Vert""";'),
        encoding="utf-8",
    )
    # `<`, `>` and `"` cannot be in a name: the programme refuses them.
    file.write_text(MEMBERS.replace(' "Vert"', " Vert"), encoding="utf-8")
    first = import_members(world.installation, world.who(), file)
    assert outcomes(first) == ["adopted"] * 3, first.lines
    world.pass_days(4)
    one = world.authorize("2B", "Creative Cloud All Apps for Teams=3", po="PO-1")
    world.authorize("2B", "Acrobat Pro for Teams=1", po="=PO-2")
    orders.place_for_authorizations(world.installation, world.who(), [one], order_number="AO-1")
    before = exported(world, "north")

    add_reseller(world.installation, key="south", name="South")
    there = who_asks(world.installation, reseller="south", email=None)
    for name in ("bob", "cleo"):
        team.add_member(world.installation, there, email=f"{name}@north.example", name=name.title(), role="admin")
    copy = tmp_path / "copy.csv"
    columns = tuple(columns_of(CustomerSheet))
    copy.write_text(header(columns) + written(before, columns, UTC), encoding="utf-8", newline="")
    assert '"\'=Élan Vert"' in copy.read_text(encoding="utf-8")
    report = import_members(world.installation, there, copy)
    assert outcomes(report) == ["adopted"] * 3, report.lines
    assert report.ignored == ()
    assert report.mails == {}
    assert exported(world, "south") == before
    assert outcomes(import_members(world.installation, there, copy)) == ["there already"] * 3
    assert outcomes(import_members(world.installation, world.who(), copy)) == ["there already"] * 3


def exported(world: World, reseller: str) -> list[CustomerSheet]:
    """As the table has them, but for what names them here."""
    who = who_asks(world.installation, reseller=reseller, email=None)
    return [other(each, ref="") for each in customer_sheets(world.installation, who, after=None)]


def test_invited_customers_exported_are_invited_elsewhere_only_where_asked(world: World, tmp_path: Path) -> None:
    world.invite("Élan Vert")
    columns = tuple(columns_of(CustomerSheet))
    copy = tmp_path / "copy.csv"
    text = header(columns) + written(customer_sheets(world.installation, world.who(), after=None), columns, UTC)
    copy.write_text(text, encoding="utf-8", newline="")
    assert outcomes(import_members(world.installation, world.who(), copy, invite=True)) == ["there already"]
    add_reseller(world.installation, key="south", name="South")
    there = who_asks(world.installation, reseller="south", email=None)
    team.add_member(world.installation, there, email="bob@north.example", name="Bob", role="admin")
    assert outcomes(import_members(world.installation, there, copy)) == ["left out"]
    report = import_members(world.installation, there, copy, invite=True)
    assert (outcomes(report), report.mails) == (["invited"], {"invitation": 1})
