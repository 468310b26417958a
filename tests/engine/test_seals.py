"""Seals: what is made, what they find, and that nothing is missed while others write."""

import json
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Connection, event, select, text, type_coerce
from sqlalchemy.types import Text

from tests.engine.worlds import START, World, counted_statements
from vipflow.engine.sealfile import SealFault, SealPlace
from vipflow.engine.seals import Sealed, begin_file_anew, seal, seal_state
from vipflow.engine.verify import AuditReport, verify_audit
from vipflow.errors import Busy
from vipflow.store import chain
from vipflow.store.audit import Act, remember_acts
from vipflow.store.seals import Seal
from vipflow.store.tables import audit, history, metadata, seals, subjects
from vipflow.store.types import instant_text


@dataclass
class Sealing:
    """A world whose history is sealed."""

    world: World
    place: SealPlace

    def seal(self) -> Sealed:
        return seal(self.world.database, self.place, self.world.engine.read_now)

    def act(self, *acts: str) -> None:
        made = [Act(self.world.tenant, "staff", "bob@x.org", act, "mail/1", "why not") for act in acts]
        with self.world.database.write() as connection:
            remember_acts(connection, made, self.world.clock.now())

    def verify(self, **more: Any) -> AuditReport:
        return verify_audit(self.world.database, self.place, **more)

    def said(self) -> list[str]:
        """What the audit finds, as people read it."""
        report = self.verify()
        assert report.ok == (not report.findings)
        return [f"{each.subject or ''} {each.record}: {each.problem}".strip() for each in report.findings]

    def tamper(self, *statements: str, **values: Any) -> None:
        """Changes the database past vipflow."""
        with self.world.database.write() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def lines(self) -> list[str]:
        return self.place.file.read_text().splitlines(keepends=True)


@pytest.fixture
def sealing(world: World, tmp_path: Path) -> Sealing:
    """Ann and Bob joined and rented tools; there are acts; three seals were made, and a little is not sealed yet."""
    made = Sealing(world, SealPlace(tmp_path / "secret" / "audit.key", tmp_path / "seals.jsonl"))
    for name in ("Ann", "Bob"):
        world.rental(world.member(name))
    made.act("mail.retry", "mail.discard")
    assert made.seal().seal is not None
    world.move_to(START.replace(minute=1))
    world.member("Cleo")
    assert made.seal().seal is not None
    made.act("hold.make")
    assert made.seal().seal is not None
    world.move_to(START.replace(minute=2))
    world.member("Dan")
    return made


def subject_of(sealing: Sealing, name: str) -> str:
    return str(sealing.world.row("subjects", name=name).ref)


# --- what is made --------------------------------------------------------------------------------------------------


def test_what_nobody_touched_is_clean_and_says_how_far_the_seals_reach(sealing: Sealing) -> None:
    report = sealing.verify()

    assert report.findings == ()
    assert report.ok
    assert (report.acts, report.seals, report.unsealed) == (3, 3, 2)
    assert report.sealed_until == START.replace(minute=1)
    assert report.unsealed_since == START.replace(minute=2)
    assert report.not_checked == ()
    assert report.history == len(sealing.world.rows("history"))


def test_a_seal_covers_what_is_new_and_nothing_new_makes_none(sealing: Sealing) -> None:
    made = sealing.seal()
    assert (made.rows, made.acts) == (2, 0)  # he joined, and was welcomed
    assert sealing.seal() == Sealed(None)
    assert sealing.verify().unsealed == 0
    assert sealing.verify().unsealed_since is None


def test_seals_stand_in_the_database_and_in_the_file(sealing: Sealing) -> None:
    with sealing.world.database.read() as connection:
        kept = [row.mac for row in connection.execute(select(seals).order_by(seals.c.number))]
    assert [json.loads(line)["mac"] for line in sealing.lines()] == kept
    assert len(kept) == 3


def test_the_key_is_made_once_and_nobody_else_may_read_it(sealing: Sealing) -> None:
    before = sealing.place.key.read_text()
    assert stat.S_IMODE(sealing.place.key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(before)) == 32
    sealing.seal()
    assert sealing.place.key.read_text() == before


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda key: key.chmod(0o640), "others may read it"),
        (lambda key: key.write_text("00"), "64 hexadecimal digits"),
        (lambda key: key.write_text("ab" * 32), "seal 3, the newest of the database, was not made with it"),
        (lambda key: key.unlink(), "it is not there, and there are seals made with one"),
    ],
)
def test_a_key_that_is_not_right_stops_sealing_and_is_told(sealing: Sealing, spoil: Any, says: str) -> None:
    spoil(sealing.place.key)

    with pytest.raises(SealFault, match=says):
        sealing.seal()
    state = seal_state(sealing.world.database, sealing.place)
    assert says in str(state.problem)
    assert state.remedy
    assert (state.seals, state.unsealed, state.unsealed_since) == (3, 2, START.replace(minute=2))


def test_the_state_is_without_a_problem_before_the_first_seal_and_after(world: World, tmp_path: Path) -> None:
    place = SealPlace(tmp_path / "key", tmp_path / "seals")
    assert seal_state(world.database, place).problem is None
    world.member("Ann")
    assert seal_state(world.database, place).unsealed == 2
    seal(world.database, place, world.engine.read_now)
    state = seal_state(world.database, place)
    assert (state.seals, state.unsealed, state.last_at, state.problem) == (1, 0, START, None)


def test_a_second_sealer_on_the_same_machine_does_nothing(sealing: Sealing) -> None:
    with sealing.place.held() as alone:
        assert alone
        assert sealing.seal() == Sealed(None, busy=True)


def test_another_machine_gets_the_seals_that_it_did_not_make(
    sealing: Sealing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Sealing(sealing.world, SealPlace(tmp_path / "there" / "key", tmp_path / "there" / "seals"))
    with pytest.raises(SealFault, match="copy it from the machine that made them"):
        there.seal()
    there.place.key.write_text(sealing.place.key.read_text())
    there.place.key.chmod(0o600)
    with monkeypatch.context() as over_there:
        over_there.setattr("vipflow.engine.sealfile.THIS_MACHINE", "there")
        made = there.seal()

    assert made.seal is not None
    assert (made.seal.number, made.seal.made_by) == (4, "there")
    assert [json.loads(line)["number"] for line in there.lines()] == [1, 2, 3, 4]
    assert sealing.said() == []
    (why,) = sealing.verify().not_checked
    assert why.startswith("the last 1 seal against the file of seals: other machines made them")
    assert sealing.seal() == Sealed(None)  # which writes it down here
    assert sealing.lines() == there.lines()
    assert sealing.verify().not_checked == ()


# --- a maker that is killed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["keep_seal", "append", "made"])
def test_a_sealer_that_is_killed_leaves_nothing_that_looks_like_an_act(
    sealing: Sealing, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    target = "vipflow.store.seals.keep_seal" if where == "keep_seal" else f"vipflow.engine.seals.SealPlace.{where}"
    with monkeypatch.context() as patched:
        calls = iter([where != "made"])  # the first call of `made` only clears up
        real = SealPlace.made
        patched.setattr(target, die if where != "made" else lambda place: real(place) if not next(calls, 1) else die())
        with pytest.raises(Killed):
            sealing.seal()

    assert sealing.said() == []
    sealing.world.member("Eve")
    assert sealing.seal().seal is not None
    assert sealing.said() == []
    assert sealing.verify().unsealed == 0


def test_half_a_line_is_written_anew(sealing: Sealing) -> None:
    sealing.seal()
    whole = sealing.place.file.read_bytes()
    sealing.place.file.write_bytes(whole[:-20])

    sealing.seal()

    assert sealing.place.file.read_bytes() == whole


# --- tampering that is found ---------------------------------------------------------------------------------------

INSTANTS = ("effective_at", "recorded_at")
OF_HISTORY = [column.name for column in history.columns if column.name not in ("position", *INSTANTS)]


@pytest.mark.parametrize("name", OF_HISTORY)
def test_a_change_to_any_column_of_history_is_found(sealing: Sealing, name: str) -> None:
    ann = subject_of(sealing, "Ann")
    value = "7777" if name in ("tenant", "sequence") else "'mallory'"
    sealing.tamper(f"UPDATE history SET {name} = {value} WHERE subject = :ann AND sequence = 2", ann=ann)

    said = sealing.said()

    if name in ("tenant", "subject"):
        assert any("history 3: history 2 before it is gone" in each or "rows behind it" in each for each in said), said
    elif name == "sequence":
        assert any(f"{ann} history" in each for each in said), said
    else:
        assert any(each.startswith(f"{ann} history 2:") for each in said), said


@pytest.mark.parametrize("name", INSTANTS)
def test_a_change_to_an_instant_is_found(sealing: Sealing, name: str) -> None:
    ann = subject_of(sealing, "Ann")
    with sealing.world.database.write() as connection:
        connection.execute(
            history.update()
            .where(history.c.subject == ann, history.c.sequence == 2)
            .values({name: START.replace(year=2020)})
        )
    assert f"{ann} history 2: it, or its place in the chain, was changed" in sealing.said()[0]


def rehash(connection: Connection, subject: str, *, from_: int = 1, upto: int = 10_000) -> None:
    """Mends the chain of a subject, as somebody would who knows how it is made."""
    rows = connection.execute(select(history).where(history.c.subject == subject).order_by(history.c.sequence)).all()
    previous = ""
    for row in rows:
        if from_ <= row.sequence <= upto:
            says = row[1 : chain.SAYS + 1]
            digest = chain.content_digest(row.salt, says)
            at, recorded_at = instant_text(row.effective_at), instant_text(row.recorded_at)
            mended = chain.row_hash(previous, says, at, recorded_at, digest)
            one = history.c.position == row.position
            connection.execute(history.update().where(one).values(digest=digest, hash=mended))
            previous = mended
        else:
            previous = row.hash
    if upto >= len(rows):
        connection.execute(subjects.update().where(subjects.c.ref == subject).values(head=previous, sequence=len(rows)))


def test_a_changed_row_with_a_mended_hash_breaks_the_chain(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    with sealing.world.database.write() as connection:
        connection.execute(text("UPDATE history SET actor = 'x' WHERE subject = :ann AND sequence = 1"), {"ann": ann})
        rehash(connection, ann, upto=1)
    assert any(each.startswith(f"{ann} history 2: it, or its place") for each in sealing.said())


def test_a_subject_whose_whole_chain_was_mended_is_found_by_the_seal(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    with sealing.world.database.write() as connection:
        connection.execute(text("UPDATE history SET actor = 'x' WHERE subject = :ann AND sequence = 1"), {"ann": ann})
        rehash(connection, ann)

    (said,) = sealing.said()

    assert said.startswith("seal 1 of 2025-01-06T09:00:00")
    assert "rows of history that it covers were changed after it was made" in said
    assert f"club {ann}" in said


def test_a_last_row_cut_off_with_a_mended_head_is_found_by_the_seal(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    last = sealing.world.row("subjects", ref=ann).sequence
    with sealing.world.database.write() as connection:
        connection.execute(text("DELETE FROM history WHERE subject = :ann AND sequence = :n"), {"ann": ann, "n": last})
        rehash(connection, ann)
    (said,) = sealing.said()
    assert "1 of the" in said
    assert "rows of history that it covers are gone" in said


def test_a_subject_taken_away_with_all_its_rows_is_found_by_the_seal(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    sealing.tamper(
        *(f"DELETE FROM {table} WHERE subject = :ann" for table in ("names", "history", "cases", "timers", "messages")),
        "DELETE FROM subjects WHERE ref = :ann",
        ann=ann,
    )
    assert "of history that it covers are gone" in sealing.said()[0]


def test_history_without_its_subject_is_found(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    sealing.tamper(
        *(f"DELETE FROM {table} WHERE subject = :ann" for table in ("names", "cases", "timers", "messages")),
        "DELETE FROM subjects WHERE ref = :ann",
        ann=ann,
    )
    assert any(f"{ann} history" in each and "which is not there" in each for each in sealing.said())


def test_a_row_put_in_is_found(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    names = [column.name for column in history.columns if column.name not in ("position", "sequence", "cause")]
    sealing.tamper(
        f"INSERT INTO history (position, sequence, cause, {', '.join(names)})"
        f" SELECT 900, 99, 'event:forged', {', '.join(names)} FROM history WHERE subject = :ann AND sequence = 1",
        ann=ann,
    )
    assert any(each.startswith(f"{ann} history 99:") for each in sealing.said())


def test_two_rows_that_changed_places_are_found(sealing: Sealing) -> None:
    ann = subject_of(sealing, "Ann")
    move = "UPDATE history SET sequence = {} WHERE subject = :ann AND sequence = {}"
    sealing.tamper(*(move.format(to, from_) for to, from_ in ((99, 1), (1, 2), (2, 99))), ann=ann)
    assert any(each.startswith(f"{ann} history 1:") for each in sealing.said())


def test_all_that_was_written_since_a_backup_is_missed(sealing: Sealing) -> None:
    """The database is cut back to what it was at the first seal, everything mended that is in it."""
    with sealing.world.database.write() as connection:
        first = connection.execute(select(seals).where(seals.c.number == 1)).one()
        cleo = connection.execute(select(history.c.subject).where(history.c.position > first.history_to)).scalars()
        for subject in set(cleo.all()):
            for table in ("names", "history", "cases", "timers", "messages"):
                connection.execute(text(f"DELETE FROM {table} WHERE subject = :it"), {"it": subject})
            connection.execute(text("DELETE FROM subjects WHERE ref = :it"), {"it": subject})
        connection.execute(text("DELETE FROM audit WHERE position > 2"))
        connection.execute(text("DELETE FROM seals WHERE number > 1"))

    said = sealing.said()

    assert any("this and the next 1, 2 seals, are in the file and not in the database" in each for each in said)
    assert any("history ends before what was sealed then" in each for each in said)
    assert any("the audit ends before what was sealed then" in each for each in said)
    with pytest.raises(SealFault, match=r"2 seals are in the file .* and not in the database"):
        sealing.seal()


def test_after_a_restored_backup_sealing_goes_on_behind_a_file_set_aside(sealing: Sealing) -> None:
    sealing.tamper("DELETE FROM seals WHERE number = 3", "DELETE FROM audit WHERE position = 3")

    aside = begin_file_anew(sealing.world.database, sealing.place, sealing.world.clock.now())

    assert aside is not None
    assert len((sealing.place.file.parent / aside).read_text().splitlines()) == 3
    assert len(sealing.lines()) == 2
    assert sealing.seal().seal is not None
    assert sealing.said() == []


@pytest.mark.parametrize("name", [column.name for column in audit.columns if column.name not in ("position", "at")])
def test_a_change_to_any_column_of_an_act_is_found(sealing: Sealing, name: str) -> None:
    value = "7777" if name == "tenant" else "'mallory'"
    sealing.tamper(f"UPDATE audit SET {name} = {value} WHERE position = 2")
    assert any("act 2: it was changed after it was written" in each for each in sealing.said())


def test_an_act_taken_away_is_found(sealing: Sealing) -> None:
    sealing.tamper("DELETE FROM audit WHERE position = 2")
    assert any("act 3: act 2 before it is gone" in each for each in sealing.said())


def test_the_last_act_taken_away_is_found_by_the_seal(sealing: Sealing) -> None:
    sealing.tamper("DELETE FROM audit WHERE position = 3")
    assert "1 of the 1 act that it covers are gone; the audit ends" in sealing.said()[0]


@pytest.mark.parametrize("name", [column.name for column in seals.columns if column.name != "made_at"])
def test_a_change_to_any_column_of_a_seal_is_found(sealing: Sealing, name: str) -> None:
    value = "77" if name in ("number", "history_to", "history_rows", "audit_to") else "'mallory'"
    sealing.tamper(f"UPDATE seals SET {name} = {value} WHERE number = 2")
    assert any("seal 2" in each for each in sealing.said())


def test_seals_taken_from_the_database_are_found_in_the_file(sealing: Sealing) -> None:
    sealing.tamper("DELETE FROM seals WHERE number >= 2")
    (said,) = sealing.said()
    assert said.startswith("seal 2 of")
    assert "this and the next 1, 2 seals, are in the file and not in the database" in said


def test_a_seal_taken_from_the_file_is_found_in_the_database(sealing: Sealing) -> None:
    sealing.place.file.write_text("".join(sealing.lines()[:2]))
    (said,) = sealing.said()
    assert said.startswith("seal 3 of")
    assert "it is in the database and not in the file" in said


def test_the_whole_file_taken_away_is_found(sealing: Sealing) -> None:
    sealing.place.file.unlink()
    (said,) = sealing.said()
    assert "3 seals, are in the database and not in the file" in said


def test_lines_in_another_order_are_found(sealing: Sealing) -> None:
    first, second, third = sealing.lines()
    sealing.place.file.write_text(first + third + second)
    assert any("line 3 of seals.jsonl: seal 2 stands behind seal 3" in each for each in sealing.said())


def test_who_forges_a_seal_without_the_key_is_found(sealing: Sealing) -> None:
    """Ann's history is changed, its chain mended, the seal over it made anew in database and file, with another key."""
    ann = subject_of(sealing, "Ann")
    forged = []
    with sealing.world.database.write() as connection:
        connection.execute(text("UPDATE history SET actor = 'x' WHERE subject = :ann AND sequence = 1"), {"ann": ann})
        rehash(connection, ann)
        rows = select(history.c.position, history.c.tenant, history.c.subject, history.c.sequence, history.c.hash)
        previous, after, audit_after = "", 0, 0
        for line in sealing.lines():
            true = msgspec.json.decode(line, type=Seal)
            digest = chain.Digest()
            covered = rows.where(history.c.position > after, history.c.position <= true.history_to)
            for row in connection.execute(covered.order_by(history.c.position)):
                digest.add_history(row)
            acts = select(audit.c.position, audit.c.hash).where(
                audit.c.position > audit_after, audit.c.position <= true.audit_to
            )
            for act in connection.execute(acts.order_by(audit.c.position)):
                digest.add_act(act)
            made = replace(true, digest=digest.text(), previous=previous)
            made = replace(made, mac=made.signed(b"guessed"))
            values = {name: getattr(made, name) for name in ("digest", "previous", "mac")}
            connection.execute(seals.update().where(seals.c.number == made.number).values(values))
            previous, after, audit_after = made.mac, true.history_to, true.audit_to
            forged.append(msgspec.json.encode(made).decode() + "\n")
    sealing.place.file.write_text("".join(forged))

    said = sealing.said()

    assert len(said) == 3
    assert all("it was not made with the key, or changed after it was made" in each for each in said)


def test_without_the_key_all_but_the_signatures_is_checked(sealing: Sealing) -> None:
    sealing.place.key.unlink()
    report = sealing.verify()
    assert report.ok
    assert report.not_checked == ("the signatures of seals: there is no key here",)
    sealing.tamper("UPDATE seals SET digest = 'x' WHERE number = 2")
    assert sealing.said() != []


def test_what_cannot_even_be_read_is_a_finding(sealing: Sealing) -> None:
    if sealing.world.database.dialect == "sqlite":
        sealing.tamper("UPDATE history SET effective_at = 'yesterday' WHERE sequence = 1")
        assert sealing.said() != []


def test_findings_are_counted_beyond_those_that_are_given(sealing: Sealing) -> None:
    sealing.tamper("UPDATE history SET actor = 'mallory'")
    report = sealing.verify(most=2)
    assert len(report.findings) == 2
    assert report.found > 2


# --- any byte ------------------------------------------------------------------------------------------------------

TEXTS = {
    table.name: [
        column.name
        for column in table.columns
        if column.type.python_type is str or column.name in ("effective_at", "recorded_at", "at", "made_at")
    ]
    for table in (history, audit, seals)
}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_stored_character_that_is_changed_is_found(sealing: Sealing, data: st.DataObject) -> None:
    """On SQLite, where every instant is a text too; each change is undone again."""
    database = sealing.world.database
    if database.dialect != "sqlite":
        return
    if sealing.verify().unsealed:
        sealing.seal()
    table = metadata.tables[data.draw(st.sampled_from(sorted(TEXTS)))]
    column = table.c[data.draw(st.sampled_from(TEXTS[table.name]))]
    (key,) = table.primary_key.columns
    stored = type_coerce(column, Text).label("stored")
    with database.read() as connection:
        rows = connection.execute(select(key, stored).where(column.is_not(None)).order_by(key)).all()
    rows = [row for row in rows if row.stored]
    if not rows:
        return
    row = data.draw(st.sampled_from(rows))
    at = data.draw(st.integers(0, len(row.stored) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != row.stored[at]))
    changed = row.stored[:at] + other + row.stored[at + 1 :]
    change = text(f"UPDATE {table.name} SET {column.name} = :value WHERE {key.name} = :key")
    with database.write() as connection:
        connection.execute(change, {"value": changed, "key": row[0]})
    found = sealing.said()
    with database.write() as connection:
        connection.execute(change, {"value": row.stored, "key": row[0]})

    assert found, f"{table.name}.{column.name} of {row[0]}: {row.stored!r} became {changed!r}"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_byte_of_the_file_that_is_changed_is_found(sealing: Sealing, data: st.DataObject) -> None:
    whole = sealing.place.file.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    sealing.place.file.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    found = sealing.said()
    sealing.place.file.write_bytes(whole)

    assert found, f"byte {at} of the file became {other}"


# --- beside writers ------------------------------------------------------------------------------------------------


def test_nothing_is_missed_while_two_write_and_one_seals(world: World, another: Any, tmp_path: Path) -> None:
    """On PostgreSQL the two get positions that are committed in another order."""
    sealing = Sealing(world, SealPlace(tmp_path / "key", tmp_path / "seals"))
    writers = [another(), another()]
    barrier = threading.Barrier(3)
    faults: list[BaseException] = []

    def write(writer: World) -> None:
        try:
            barrier.wait()
            for number in range(40):
                writer.post("member.join", data={"name": f"{number}", "email": f"{number}@{id(writer)}.org"})
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    barrier.wait()
    made = 0
    while any(thread.is_alive() for thread in threads):
        try:
            made += sealing.seal().seal is not None
        except Busy:
            continue
    for thread in threads:
        thread.join()
    sealing.seal()

    assert faults == []
    assert made >= 1
    assert sealing.said() == []
    report = sealing.verify()
    assert (report.history, report.unsealed) == (2 * 80, 0)


def test_a_row_of_an_earlier_position_that_is_committed_later_is_not_missed(
    world: World, another: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.database.dialect != "postgresql":
        return  # there is one writer
    sealing = Sealing(world, SealPlace(tmp_path / "key", tmp_path / "seals"))
    world.member("Zoe")  # the policy is kept, so the two below do not wait for each other
    slow = another()
    monkeypatch.setattr("vipflow.engine.seals.PATIENCE", 0.2)
    wrote, may_commit = threading.Event(), threading.Event()

    def hesitate(_: Connection) -> None:
        wrote.set()
        assert may_commit.wait(20)

    event.listen(slow.database._writes, "commit", hesitate)
    writer = threading.Thread(target=slow.member, args=("Ann",))
    writer.start()
    assert wrote.wait(20)
    world.member("Bob")
    with suppress(Busy):
        sealing.seal()
    may_commit.set()
    writer.join()

    assert sealing.seal().rows > 0
    assert sealing.said() == []
    assert sealing.verify().unsealed == 0


def test_two_who_act_at_once_are_chained_one_behind_the_other(world: World, another: Any, tmp_path: Path) -> None:
    sealing = Sealing(world, SealPlace(tmp_path / "key", tmp_path / "seals"))
    others = [Sealing(another(), sealing.place) for _ in range(2)]
    barrier = threading.Barrier(2)

    def act(by: Sealing) -> None:
        barrier.wait()
        for _ in range(20):
            by.act("mail.retry", "mail.hold")

    threads = [threading.Thread(target=act, args=(each,)) for each in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sealing.said() == []
    assert sealing.verify().acts == 80


def test_verify_beside_a_sealer_finds_nothing(sealing: Sealing) -> None:
    """The sealer works between the moment at which verify looks at the file and its end."""

    def meanwhile(done: int, total: int) -> None:
        sealing.world.member(f"New{done}")
        sealing.seal()

    assert sealing.verify(progress=meanwhile).findings == ()


def test_acts_cost_the_same_statements_however_many_they_are(sealing: Sealing) -> None:
    costs = []
    for many in (1, 50):
        with counted_statements(sealing.world.database) as counted:
            sealing.act(*["mail.retry"] * many)
        costs.append(len(counted))
    assert costs[0] == costs[1]
