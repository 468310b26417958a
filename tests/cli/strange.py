"""Things that somebody might send: nearly right events, made from the classes that the workflows declare, and worse."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from vipflow.machine import Workflows

NASTY = (
    *("", " ", "\0", "\ud800", "\x07", "\x7f", "\u2028", "\u202eexe.fdp", "é", "e\u0301", "𝕏", "🎉", "٣", "5 000"),
    *(
        "a\r\nBcc: all@x.example",
        "a@b.example, c@d.example",
        "a@b.example.",
        "ä@münchen.example",
        "x" * 300,
        "{{ 7*7 }}",
    ),
    *("../../etc/passwd", "=1+1", "'; DROP TABLE cases; --", "%s%n", "null", "NaN", "1e3", "-1", "[red]x[/red]", "\\"),
    *("2025-02-29", "31/04", "10000-01-01", "0001-01-01", "9999-12-31", "2024-03-01T09:00:00Z", "a/b", "a%2Fb", "%"),
)
NUMBERS = (
    0,
    -1,
    1,
    2,
    5,
    499,
    1_000_000_000,
    1_000_000_001,
    2**31,
    2**63 - 1,
    -(2**63),
    10**18,
    0.5,
    1e308,
    True,
    None,
)
KNOWN = (  # names that the story told before
    *("1A2B", "PO-1", "PO-2", "AO-1", "zoe@elan.example", "bob@nord.example", "vic@nord.example", "eve@nord.example"),
    *("65304579CA01A12", "65305156CA01A12", "30001850CB01A12", "new-1", "new-2", "teams", "enterprise", "commercial"),
    *("FR", "44000", "2024-03-01", "2025-04-10", "2026-02-28", "authorization", "renewal", "direct"),
)
texts = st.sampled_from(NASTY) | st.text(max_size=12) | st.sampled_from(KNOWN)
anything = st.recursive(
    texts | st.sampled_from(NUMBERS) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def fitting(kind: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Values that a type takes, more or less: what a guard or a struct says beyond that is left to chance."""
    match kind:
        case inspect.UnionType():
            return st.one_of([fitting(each, name) for each in kind.types])
        case inspect.Metadata():
            return fitting(kind.type, name)
        case inspect.StructType():
            required = {f.encode_name: fitting(f.type, f.encode_name) for f in kind.fields if f.required}
            others = {f.encode_name: fitting(f.type, f.encode_name) for f in kind.fields if not f.required}
            few = st.lists(st.sampled_from(sorted(others)), max_size=2, unique=True) if others else st.just([])
            return few.flatmap(
                lambda chosen: st.fixed_dictionaries({**required, **{each: others[each] for each in chosen}})
            )
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.VarTupleType() | inspect.ListType():
            return st.lists(fitting(kind.item_type, name), min_size=name == "lines", max_size=3)
        case inspect.DictType():
            numbers = {"order_due_days": st.sampled_from(NUMBERS), "mail_from": texts}
            return st.fixed_dictionaries({}, optional=numbers) | st.dictionaries(texts, anything, max_size=2)
        case inspect.IntType() | inspect.FloatType():
            return st.integers(0, 40) | st.sampled_from(NUMBERS)
        case inspect.DateType():
            return st.dates(date(2023, 1, 1), date(2028, 1, 1)).map(str) | st.sampled_from(["0001-01-01", "9999-12-31"])
        case inspect.NoneType():
            return st.none()
        case _:
            return _SUCH.get(name, st.sampled_from(KNOWN) | texts)


_SUCH: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["Zoé", "Max", "x" * 35]),
    "vip_number": st.sampled_from(["3C4D", "VIP-🎉", "x" * 64]),
    "po_number": st.sampled_from(["PO-1", "PO-3", "🎉", "x" * 35]),
    "order_number": st.sampled_from(["AO-1", "AO-2", "x" * 64]),
    "offer_type": st.sampled_from(["teams", "enterprise", "x"]),
    "company": st.sampled_from(["Élan", "Neu GmbH", "x" * 80]),
    "address": st.just("1 rue"),
    "city": st.just("Nantes"),
    "country": st.sampled_from(["FR", "FR", "FR", "BE", "US", "HK"]),
    "postal_code": st.sampled_from(["44000", "44000", "1000", "10001"]),
    "region": st.just("Bretagne"),
    "email": st.sampled_from(["a@b.example", "zoe@elan.example", "a@münchen.example"]),
    "sku": st.sampled_from(["65304579CA01A12", "65305156CA01A12", "65305156CA01A12", "30001850CB01A12", "nope"]),
    "owner": st.sampled_from(["bob@nord.example", "bob@nord.example", "eve@nord.example", "x@y.example"]),
    "offer_types": st.sampled_from(["teams", "enterprise", "education", "x"]),
}


NEW = [f"new-{number}" for number in range(200)]
_NAMED = {
    "authorizations": ("PO-1", "PO-2", "r-1", "r-2"),
    "orders": ("AO-1", "AO-1", "o-1", "o-2"),
    "returns": ("b-1", "b-2"),
}
"""What a subject may name below a customer; where there is only one of a kind, it need not."""


@st.composite
def events(draw: st.DrawFn, workflows: Workflows) -> bytes:
    """A line that is nearly an event: of a real type, its data as its class wants them but for what was put wrong."""
    type_ = draw(st.sampled_from(sorted(workflows.from_outside)))
    workflow, _, name = type_.partition(".")
    machine = workflows[workflow]
    data = draw(fitting(inspect.type_info(machine.data_of(name))))
    opens = type_ in ("customer.invite", "customer.adopt")
    subject = f"customers/{draw(st.sampled_from(NEW if opens else ['1A2B', '1A2B', '1A2B', NEW[0]]))}"
    if machine.collection in _NAMED:
        subject += f"/{machine.collection}/{draw(st.sampled_from(_NAMED[machine.collection]))}"
    given: dict[str, Any] = {
        "specversion": "1.0",
        "type": type_,
        "source": draw(st.sampled_from(["shop", "shop", "a/b"])),
        "id": str(draw(st.integers(0, 10**9))),
        "subject": subject,
        "data": data,
    }
    if not draw(st.integers(0, 2)):
        days = draw(st.integers(0, 62))
        given["time"] = (datetime(2024, 2, 1, 9, tzinfo=UTC) + timedelta(days=days)).isoformat()
    if not draw(st.integers(0, 3)):
        given["reason"] = draw(st.sampled_from(["a promise by telephone", "🎉", " ", "x" * 501]))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        _put_wrong(draw, given)
    return json.dumps(given, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass").replace(b"\n", b" ")


def _put_wrong(draw: st.DrawFn, given: dict[str, Any]) -> None:
    """Changes, drops or adds one thing, somewhere."""
    place: Any = given
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 4)):
            place = inner
            continue
        break
    match draw(st.sampled_from(["other", "other", "drop", "more"])):
        case "drop":
            del place[key]
        case "more" if isinstance(place, dict):
            place[draw(texts)] = draw(anything)
        case _:
            place[key] = draw(anything)


lines_of_json = anything.map(lambda value: json.dumps(value).encode())
lines_of_bytes = st.binary(max_size=60).map(lambda line: line.replace(b"\n", b""))
