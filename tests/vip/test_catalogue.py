"""What customers may buy: the shipped rows, a reseller's own, and every mistake in them told at once."""

from datetime import date
from pathlib import Path

import pytest

from vipflow.errors import BadInput, NotFound
from vipflow.vip.catalogue import Catalogue, Product, load_catalogue
from vipflow.vip.numbers import load_policies

SHIPPED = load_catalogue()
BOOK = load_policies()
VIP_2024, MARKETPLACE = (BOOK.in_force(name, date(2024, 3, 1)) for name in ("vip-2024", "vip-marketplace"))

DEVICE = """
[[products]]
sku = "65399999CA01A12"
name = "Acrobat Pro, enterprise device"
segment = "commercial"
family = "device"
category = "acrobat-enterprise-device"
"""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "ours.toml"
    path.write_text(DEVICE, encoding="utf-8")
    return path


def test_twenty_five_products_are_shipped_in_three_segments() -> None:
    counts = [len(SHIPPED.for_segment(segment)) for segment in ("commercial", "government", "education")]

    assert len(SHIPPED) == 25
    assert counts == [17, 3, 5]


def test_a_customer_s_segment_sees_only_its_products() -> None:
    assert {product.segment for product in SHIPPED.for_segment("education")} == {"education"}


def test_consumables_do_not_count_for_the_discount() -> None:
    apart = [product.sku for product in SHIPPED if not product.counts_for_discount]

    assert apart == ["65322434CAT1A12", "65327732CA01A12"]


@pytest.mark.parametrize(
    ("sku", "direct"),
    [
        ("65304579CA01A12", False),  # teams
        ("65322443CA01A12", True),  # cc-enterprise
        ("65322648CA01A12", False),  # acrobat-enterprise, not a device
        ("30001472CB01A12", True),  # cc-education
        ("30001793CB01A12", True),  # cc-education-device
    ],
)
def test_the_policy_says_what_must_be_ordered_directly(sku: str, direct: bool) -> None:
    product = SHIPPED.require(sku)

    assert product.needs_direct_order(VIP_2024) is direct
    assert product.needs_direct_order(MARKETPLACE) is False


def test_an_override_lets_all_but_education_devices_be_authorized() -> None:
    policy = BOOK.in_force("vip-2024", date(2024, 3, 1), {"categories_without_authorization": ["cc-education-device"]})

    assert [product.sku for product in SHIPPED if product.needs_direct_order(policy)] == [
        "30001786CB01A12",
        "30001793CB01A12",
    ]


def test_an_acrobat_enterprise_device_licence_must_be_ordered_directly(ours: Path) -> None:
    assert load_catalogue(ours).require("65399999CA01A12").needs_direct_order(VIP_2024)


def test_enterprise_products_may_be_had_in_larger_quantities() -> None:
    assert SHIPPED.require("65304579CA01A12").quantity_at_most(VIP_2024) == 10_000
    assert SHIPPED.require("65322443CA01A12").quantity_at_most(VIP_2024) == 599_000


def test_an_unknown_sku_is_answered_with_those_that_come_close() -> None:
    assert SHIPPED.get("65304579CA01A13") is None
    assert "65304579CA01A13" not in SHIPPED
    assert SHIPPED.close_to(" 65304579ca01a12")[0].sku == "65304579CA01A12"
    with pytest.raises(NotFound, match=r"did you mean 65304579CA01A12 \(Creative Cloud All Apps for Teams\)"):
        SHIPPED.require("65304579CA01A13")
    with pytest.raises(NotFound, match="see the catalogue"):
        SHIPPED.require("?")


# Content


def test_a_stored_catalogue_comes_back_with_its_id() -> None:
    again = Catalogue.from_json(SHIPPED.to_json())

    assert again == SHIPPED
    assert list(again) == list(SHIPPED)
    assert {again, SHIPPED} == {SHIPPED}


def test_the_id_depends_on_the_content_and_not_on_the_order() -> None:
    products = list(SHIPPED)

    assert Catalogue(reversed(products)).id == SHIPPED.id
    assert Catalogue(products[1:]).id != SHIPPED.id


def test_a_catalogue_is_frozen() -> None:
    with pytest.raises(AttributeError):
        SHIPPED.id = "other"  # type: ignore[misc]  # why: that the type says so too is the point


def test_text_that_is_no_stored_catalogue_is_refused() -> None:
    with pytest.raises(BadInput, match=r"expected the JSON that Catalogue\.to_json wrote"):
        Catalogue.from_json('{"products": [{"sku": "1"}]}')


# A reseller's own rows


def test_a_reseller_adds_rows_of_its_own(ours: Path) -> None:
    catalogue = load_catalogue(ours)

    assert len(catalogue) == 26
    assert catalogue.id != SHIPPED.id


def test_a_later_row_replaces_the_one_with_its_sku(ours: Path) -> None:
    ours.write_text(DEVICE.replace("65399999CA01A12", "65304521CA01A12"), encoding="utf-8")
    catalogue = load_catalogue(ours)

    assert len(catalogue) == 25
    assert catalogue.require("65304521CA01A12") == Product(
        sku="65304521CA01A12",
        name="Acrobat Pro, enterprise device",
        segment="commercial",
        family="device",
        category="acrobat-enterprise-device",
    )


def test_every_mistake_of_every_file_is_told_at_once(ours: Path, tmp_path: Path) -> None:
    ours.write_text(
        DEVICE
        + DEVICE
        + DEVICE.replace("CA01", "CB01")
        + DEVICE.replace("65399999", "123").replace("commercial", "comercial").replace("device", "Device")
        + '[[products]]\nsku = "65399998CA01A12"\nfamly = "teams"\nname = 7\n',
        encoding="utf-8",
    )
    torn = tmp_path / "torn.toml"
    torn.write_text("[[products]", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_catalogue(ours, torn, tmp_path / "absent.toml")

    told = str(refused.value)
    for problem in [
        "ours.toml line 9: product 2 (65399999CA01A12): its SKU stands twice in this file; keep one",
        "ours.toml line 16: product 3 (65399999CB01A12): segment = 'commercial': the SKU says education (CB)",
        "product 4 (123CA01A12): sku = '123CA01A12': expected 8 digits, CA, CB or CC, two characters of level, A12",
        "segment = 'comercial': expected commercial, government or education (did you mean commercial?)",
        "family = 'Device': expected teams, enterprise, device or consumable (did you mean device?)",
        "category = 'acrobat-enterprise-Device': expected words of small letters joined by hyphens",
        "product 5 (65399998CA01A12): famly is not a field (did you mean family?)",
        "product 5 (65399998CA01A12): name = 7: expected a text of 1 to 200 characters",
        "product 5 (65399998CA01A12): segment is missing",
        "torn.toml: cannot be read: ",
        "absent.toml: cannot be read: ",
    ]:
        assert problem in told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("products = 3", "products must be written as [[products]]"),
        ("products = [3]", "product 1 must be a table, [[products]]"),
        ("[surprise]", "'surprise' is not known here; expected [[products]]"),
    ],
)
def test_a_file_of_another_form_is_refused(ours: Path, text: str, problem: str) -> None:
    ours.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_catalogue(ours)

    assert problem in str(refused.value)
