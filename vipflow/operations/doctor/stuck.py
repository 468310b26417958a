"""What lies where it should not: mails nobody put down, events past their time, incidents, subjects that crashed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from vipflow.operations.doctor.findings import Finding, at, counted, do, lasting, note, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.store import health
from vipflow.store.health import MOST, Counted
from vipflow.store.outgoing import LEASE

_REFERENCE = re.compile(r"[A-Z]{1,2}-[0-9A-Z]{4}-[0-9A-Z]{4}")
SHOWN = 3  # resellers; the others come when these are seen to
_CRASHES = 3  # from then on a subject is left alone (PROMISES 12)


def mails(patient: Patient) -> Iterator[Finding]:
    """In hand past the lease, held, uncertain, dead; and addresses that get none."""
    now = patient.now
    with patient.rows() as connection:
        in_hand = health.mails_in_hand_since(connection, now - LEASE)
        trouble = health.mails_in_trouble(connection)
        refused = health.suppressed_addresses(connection)
        keys = health.reseller_keys(connection)
    if in_hand.number and in_hand.oldest is not None:
        told = f"{counted(in_hand.number, 'mail', most=MOST)} {do(in_hand.number, 'was', 'were')}"
        says = f"{told} taken in hand and never put down, the first {lasting(now - in_hand.oldest)} ago."
        remedy = "Whoever had them is gone; a daemon takes them up again, with the same bytes."
        yield warning("in hand", says, remedy, "vipflow serve")
    total = sum(trouble.values())
    about = " (of the first 1,000)" if total > MOST else ""
    for state, remedy, act in (
        ("dead", "Read why, then try again or give up.", "retry"),
        ("uncertain", "Ask who should have got it, then decide.", "retry"),
        ("held", "Read why, then let it go or give it up.", "release"),
    ):
        count = min(sum(n for (each, _), n in trouble.items() if each == state), MOST)
        if count:
            says = f"{counted(count, 'mail')}{about} {_what_of_it(state, count)}."
            why = ' --reason "<why>"' if act == "release" else ""
            commands = (f"vipflow mail list --state {state}", f"vipflow mail {act} <key>{why}")
            yield warning(state, says, remedy, *_for_each(keys, trouble, state, *commands))
    suppressed = sum(refused.values())
    if suppressed:
        told = counted(suppressed, "address", most=MOST, plural="addresses")
        get, them = do(suppressed, "gets", "get"), do(suppressed, "it", "them")
        says = f"{told} {get} no more mail, since mail to {them} came back for good."
        remedy = "Ask for another address, and enter it. Where the old one works again, take it off the list."
        again = 'vipflow mail unsuppress <address> --reason "<why>"'
        run = _for_each(keys, refused, "suppressed", "vipflow mail suppressed", again)
        yield note("suppressed", says, remedy, *run)
    if not in_hand.number and not total:
        yield ok("mails", "No mail lies in hand, held, uncertain or dead.")


def _what_of_it(state: str, count: int) -> str:
    match state:
        case "dead":
            return "will not be sent: the server refused, or put it off for too long"
        case "uncertain":
            return "may have arrived or not: the line went at the end"
        case _:
            return do(count, "is held", "are held")


def events(patient: Patient) -> Iterator[Finding]:
    """Parked for longer than they may wait."""
    now = patient.now
    with patient.rows() as connection:
        past = health.parked_past(connection, now - patient.here(patient.limits.overdue))
    if past.number and past.oldest is not None:
        told = counted(past.number, "event", most=MOST)
        late = lasting(now - past.oldest)
        wait = do(past.number, "waits for a record", "wait for records")
        says = (
            f"{told} {wait} that never came, {late} past {do(past.number, 'its', 'their')} time, without an incident."
        )
        yield warning("parked", says, "A daemon opens the incidents; then each can be seen to.", "vipflow serve")
    else:
        yield ok("parked", "No event waits past its time.")


def incidents(patient: Patient) -> Iterator[Finding]:
    """What needs a person, by kind."""
    with patient.rows() as connection:
        found, oldest = health.open_incidents(connection)
        keys = health.reseller_keys(connection)
    kinds: Counter[str] = Counter()
    for (kind, _), count in found.items():
        kinds[kind] += count
    if not kinds:
        yield ok("incidents", "No incident is open.")
        return
    told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
    total = counted(sum(kinds.values()), "incident", most=MOST)
    since = f", the oldest since {at(oldest)}" if oldest is not None else ""
    says = f"{total} open ({told}){since}."
    run = _for_each(keys, found, None, "vipflow incident list")
    yield warning("incidents", says, "See to each: read it, then retry or dismiss it.", *run)


def _for_each(keys: Mapping[int, str], found: Counted, what: str | None, *commands: str) -> list[str]:
    """The commands, where there are several resellers once for each that has some of that: for the first `SHOWN`."""
    if len(keys) < 2:
        return list(commands)
    having = dict.fromkeys(keys[tenant] for each, tenant in sorted(found) if what in (None, each))
    return [f"{command} --reseller {key}" for key in list(having)[:SHOWN] for command in commands]


def crashed(patient: Patient) -> Iterator[Finding]:
    """Who was in hand when a process ended without a word."""
    with patient.rows() as connection:
        rows = health.crashed_subjects(connection)
    if not rows:
        return
    reseller, subject, crashes = rows[0]
    told = f"{counted(len(rows), 'customer or event', most=MOST, plural='customers or events')}"
    stopped = sum(row[2] >= _CRASHES for row in rows)
    says = f"{told} in hand when a process crashed, {subject} of {reseller} {counted(crashes, 'time')}"
    if stopped:
        says += f"; {stopped:,} of them {do(stopped, 'is', 'are')} left alone since"
    remedy = "Read what the log says of the crash, mend its cause, then retry the incident."
    run = [f"vipflow incident list --reseller {reseller}"]
    if _REFERENCE.fullmatch(subject):  # else an event, by its cause
        run.append(f"vipflow history {subject} --reseller {reseller}")
    yield (warning if stopped else note)("crashed", f"{says}.", remedy, *run)
