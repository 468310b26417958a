"""Tables in every dress, cells that no spreadsheet computes, and lists as lines of CSV."""

import csv
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipflow.errors import BadInput
from vipflow.operations.csvcells import guarded, unguarded
from vipflow.operations.csvfiles import Layout, Table, open_table
from vipflow.operations.csvwriting import EXCEL, Column, columns_of, header, written
from vipflow.operations.membervalues import day_in, whole_number
from vipflow.operations.products import ProductLine
from vipflow.workflow import Text

HEADINGS = {"number": ("numéro VIP", "VIP"), "company": ("société", "client"), "city": ("ville",)}


def opened(folder: Path, content: str | bytes, layout: Layout | None = None) -> Table:
    file = folder / "table.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_table(file, HEADINGS, ("number", "company"), layout)


TEXT = 'Numéro VIP;Société;Ville\n1A;"Élan; Vert\nSARL";Nîmes\n\n;;\n2B;Été;\n'
READ = [{"number": "1A", "company": "Élan; Vert\nSARL", "city": "Nîmes"}, {"number": "2B", "company": "Été"}]


@pytest.mark.parametrize(
    ("content", "encoding", "separator"),
    [
        (TEXT.encode(), "utf-8", ";"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig", ";"),
        (TEXT.encode("cp1252"), "cp1252", ";"),
        (TEXT.replace("\n", "\r\n").replace(";", "\t").encode("utf-16"), "utf-16", "\t"),
        (b"\xfe\xff" + TEXT.replace(";", "\t").encode("utf-16-be"), "utf-16", "\t"),
        (TEXT.replace(";", "|").encode(), "utf-8", "|"),
        (TEXT.replace(";", ",").encode(), "utf-8", ","),
        (b"sep=;\r\n" + TEXT.encode("cp1252"), "cp1252", ";"),
        (("\n  \n;;;\n" + TEXT).encode(), "utf-8", ";"),
        (TEXT.replace("Ville", '"Ville, ou, lieu"').encode(), "utf-8", ";"),
    ],
)
def test_a_table_is_recognised_whatever_its_dress(
    tmp_path: Path, content: bytes, encoding: str, separator: str
) -> None:
    table = opened(tmp_path, content)
    assert (table.encoding, table.separator) == (encoding, separator)
    cells = [dict(row.cells) for row in table.rows()]
    read = [{name: text.replace("; ", f"{separator} ") for name, text in row.items()} for row in READ]
    if "city" not in table.columns:
        read = [{name: text for name, text in row.items() if name != "city"} for row in read]
    assert [{k: v.replace("\r\n", "\n") for k, v in row.items()} for row in cells] == read
    assert [dict(row.cells) for row in table.rows()] == cells, "it is read as often as asked"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b" \r\n;;\n", "it is empty"),
        (b"VIP;soci\xc3\xa9t\xc3\xa9\n1;\xc3\xa9\n2;\xff\n", "line 3 is broken UTF-8"),
        (b"VIP;client\n1;\x81\n", "neither UTF-8 nor Windows-1252"),
        ("VIP;client\n".encode("utf-16-le"), "UTF-16 without the mark"),
        (b"\xff\xfeV\x00I\x00\x00\xd8", "is not in UTF-16"),
        (b"VIP;client;soci\xe9t\xe9\n", r"two columns mean company, 'client' and 'société': say in a profile"),
        (b"VIP;client;client\n", "two columns mean company, 'client' and 'client': rename one"),
        (b"VIP,clint\n", r"no column 'société' or 'client'"),
        (b'VIP;client\n1;"open\n2;x\n', "line 2 is no row of a table"),
        (b"VIP;client\n1;" + b"x" * 200_000 + b"\n", "a cell of line 2 is longer than 131,072"),
        (b"VIP;client\n1;a;b\n", "line 2 has 3 cells, the header 2"),
        (b"\xd0\xcf\x11\xe0rest", "it is a spreadsheet"),
    ],
)
def test_what_is_no_table_is_told_with_its_place(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        list(opened(tmp_path, content).rows())


def test_a_folder_and_what_is_not_there_are_told(tmp_path: Path) -> None:
    for file, told in ((tmp_path, "it is a folder"), (tmp_path / "none.csv", "there is no such file")):
        with pytest.raises(BadInput, match=told):
            open_table(file, HEADINGS, ())


def test_a_profile_says_which_column_counts(tmp_path: Path) -> None:
    text = "Kunde;client;VIP;Ort\nÉlan;autre;1A;Nîmes\n"
    layout = Layout({"company": ("Firma", "kunde"), "city": ()}, told_in="[imports.crm.columns]")
    table = opened(tmp_path, text, layout)
    assert [dict(row.cells) for row in table.rows()] == [{"company": "Élan", "number": "1A"}]
    assert table.ignored == ("client", "Ort")
    with pytest.raises(BadInput, match=r"\[imports.crm.columns\] says that company stands in 'Firma' or 'kunde': no"):
        opened(tmp_path, "VIP;client\n", layout)
    latin = opened(tmp_path, "VIP;client\n1;\x81é\n".encode("latin-1"), Layout(encoding="iso8859-1"))
    assert next(latin.rows()).cells["company"] == "\x81é"


# --- cells ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x";"y")', '\'=HYPERLINK("http://x";"y")'),
        ("+33 6 12", "'+33 6 12"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\n=1", "'\n'=1"),
        (" =1", " '=1"),
        ("\uff1dcmd", "'\uff1dcmd"),
        ("a;=cmd|' /C calc'!A0", "a;'=cmd|' /C calc'!A0"),
        ('x","=1', 'x","\'=1'),
        ("a\n=1", "a\n'=1"),
        ("'=1", "''=1"),
        ("Élan-Vert & Co = nous", "Élan-Vert & Co = nous"),
        ("zoe@elan.example", "zoe@elan.example"),
    ],
)
def test_no_text_becomes_a_formula(text: str, cell: str) -> None:
    assert guarded(text) == cell
    assert unguarded(cell) == text


@given(st.text(alphabet="'=+-@\t\r\n;,|\" aé\u00a0\uff1d\uff20"))
def test_every_text_reads_back_and_is_safe_with_any_separator(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    line = next(csv.reader(StringIO(written([text], [column_of_itself()], UTC)), strict=True))
    assert line == [cell]
    for part in re.split(r'[;,|\t\r\n"]', cell):
        assert not re.match(r"[ \u00a0]*[=+\-@\uff1d\uff20]", part)


def column_of_itself() -> Column:
    return Column("text", lambda row: row)


@dataclass(frozen=True)
class Inner:
    at: datetime
    label: Text


@dataclass(frozen=True)
class Sample:
    """A row with everything that rows have."""

    name: str
    count: int
    flag: bool
    day: date | None
    inner: Inner | None
    lines: tuple[ProductLine, ...]
    words: tuple[str, ...]
    more: dict[str, int]


def test_fields_become_columns_and_numbers_stay_numbers() -> None:
    paris = ZoneInfo("Europe/Paris")
    inner = Inner(datetime(2025, 3, 1, 9, tzinfo=UTC), Text("dû", "due"))
    row = Sample("=1", -5, True, date(2025, 3, 1), inner, (ProductLine("A", "Aa", 2),), ("=x", "y"), {"a": 1})
    empty = Sample("", 0, False, None, None, (), (), {})
    columns = tuple(columns_of(Sample))
    assert header(columns) == '"name","count","flag","day","inner_at","inner_label","lines","words","more"\r\n'
    assert written([row, empty], columns, paris).split("\r\n") == [
        '"\'=1",-5,"true","2025-03-01","2025-03-01T10:00:00+01:00","due","A x 2","\'=x | y","{""a"":1}"',
        '"",0,"false","","","","","",""',
        "",
    ]
    assert header(columns, EXCEL).startswith('\ufeff"name";"count"')


# --- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [("5", None, 5), ("1 200", None, 1200), ("1\u202f200", None, 1200), ("5,00", None, 5), ("5.0", None, 5),
     ("1.200", ",", 1200), ("1,200.00", ".", 1200), ("1'200", None, 1200)],
)  # fmt: skip
def test_numbers_are_read_as_countries_write_them(text: str, decimal: str | None, number: int) -> None:
    assert whole_number(text, decimal) == number


@pytest.mark.parametrize(
    ("text", "decimal", "told"),
    [
        ("1.200", None, "thousands or decimals"),
        ("1,5", None, "no whole number"),
        ("1.5", ".", "no whole number"),
        ("-5", None, "no whole number"),
        ("²", None, "no whole number"),
        ("9" * 6000, None, "no whole number"),
        ("1,200", ",", "no whole number"),
    ],
)
def test_what_may_be_two_numbers_is_neither(text: str, decimal: str | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        whole_number(text, decimal)


def test_a_date_in_the_other_order_is_told_with_what_to_do() -> None:
    assert day_in("3/14/2025", "month/day/year") == date(2025, 3, 14)
    with pytest.raises(ValueError, match='dates = "month/day/year"'):
        day_in("3/14/2025")


@pytest.mark.parametrize("text", ["1/1/" + "9" * 30, "9" * 5000 + "/1/2025", "٣/١/2025", "1-2", "31/02/2024", "1/1/25"])
def test_what_is_no_date_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        day_in(text)
