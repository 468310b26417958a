"""What the database keeps: every table, and every index under the name of the question it answers.

The tenant leads every key; only the queues (what is due now, whosever it is) go without it. Foreign keys stand where
rows are written once, at an opening. History, timers, messages and the inbox have none: they are written at every step,
by the engine alone, and `verify` proves that none points across tenants. `JsonText` is text that the engine encoded.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)

from vipflow.store.types import JsonText, PackedBytes, UtcDateTime, Word

metadata = MetaData()

# Who works here

tenants = Table(
    "tenants",
    metadata,
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("key", Word, nullable=False),
    Column("name", Word, nullable=False),
    Column("language", Word, nullable=False),
    Column("zone", Word, nullable=False),
    Column("policy", Word, nullable=False),
    Column("settings", JsonText, nullable=False),  # signature, sender, phone, overrides
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("id", name="tenants_pk"),
    UniqueConstraint("key", name="tenants_by_key"),
)

team = Table(
    "team",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("email", Word, nullable=False),
    Column("name", Word, nullable=False),
    Column("role", Word, nullable=False),  # viewer, account_manager, support, operator, admin
    Column("language", Word),
    Column("phone", Word),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("mails", Word, nullable=False, server_default=text("'single'")),  # single, daily (a digest)
    PrimaryKeyConstraint("tenant", "email", name="team_pk"),
    ForeignKeyConstraint(["tenant"], ["tenants.id"], name="team_of_tenant"),
    sqlite_with_rowid=False,
)

# The numbers and the price list, each version once, under its content hash

policies = Table(
    "policies",
    metadata,
    Column("id", Word, nullable=False),
    Column("name", Word, nullable=False),
    Column("body", JsonText, nullable=False),
    PrimaryKeyConstraint("id", name="policies_pk"),
)

# The present

subjects = Table(
    "subjects",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("ref", Word, nullable=False),
    Column("workflow", Word, nullable=False),
    Column("sequence", Integer, nullable=False),  # of its last history row
    Column("tally", JsonText, nullable=False),  # how many settled cases, by workflow and state
    Column("opened_at", UtcDateTime, nullable=False),
    Column("head", Word, nullable=False, server_default=text("''")),  # the hash of its last history row
    # The summary: what lists ask, kept by the trade's pure function in the transaction that changes it.
    Column("name", Word, nullable=False, server_default=text("''")),
    Column("name_folded", Word, nullable=False, server_default=text("''")),  # as sorted and searched
    Column("email", Word),
    Column("email_domain", Word),
    Column("country", Word),
    Column("vip_number", Word),
    Column("segment", Word),
    Column("anniversary", Date),
    Column("owner", Word),  # the account manager's e-mail
    Column("invitation_state", Word),
    Column("membership_state", Word),
    Column("pending_count", Integer, nullable=False, server_default=text("0")),
    Column("late_count", Integer, nullable=False, server_default=text("0")),
    Column("licence_count", Integer, nullable=False, server_default=text("0")),
    Column("in_no_products", Boolean, nullable=False, server_default=false()),
    Column("in_pending", Boolean, nullable=False, server_default=false()),
    Column("in_late", Boolean, nullable=False, server_default=false()),
    Column("in_upcoming", Boolean, nullable=False, server_default=false()),
    Column("in_ready", Boolean, nullable=False, server_default=false()),
    Column("next_due", UtcDateTime),
    Column("next_event", Word),
    PrimaryKeyConstraint("tenant", "ref", name="subjects_pk"),
    ForeignKeyConstraint(["tenant"], ["tenants.id"], name="subjects_of_tenant"),
)

# The five lists; each one's index holds only its members, in the order of the page.
LISTS = ("no_products", "pending", "late", "upcoming", "ready")

Index("subjects_by_name", subjects.c.tenant, subjects.c.name_folded, subjects.c.ref)
Index("subjects_by_owner", subjects.c.tenant, subjects.c.owner, subjects.c.name_folded)
Index("subjects_that_look_alike", subjects.c.tenant, subjects.c.email_domain, subjects.c.country)
Index("subjects_by_email", subjects.c.tenant, func.lower(subjects.c.email))
for _list in LISTS:
    _member = subjects.c[f"in_{_list}"]
    Index(
        f"subjects_in_{_list}",
        subjects.c.tenant,
        subjects.c.name_folded,
        subjects.c.ref,
        sqlite_where=_member,
        postgresql_where=_member,
    )

cases = Table(
    "cases",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("ref", Word, nullable=False),
    Column("subject", Word, nullable=False),
    Column("workflow", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("settled", Boolean, nullable=False),  # no longer loaded with its subject
    Column("facts", JsonText, nullable=False),
    Column("facts_version", Integer, nullable=False),
    Column("policy", Word, nullable=False),
    Column("since", UtcDateTime, nullable=False),  # in this state
    Column("opened_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    PrimaryKeyConstraint("tenant", "ref", name="cases_pk"),
    ForeignKeyConstraint(["tenant", "subject"], ["subjects.tenant", "subjects.ref"], name="cases_of_subject"),
)
Index("cases_of_subject_by_settled", cases.c.tenant, cases.c.subject, cases.c.settled)

timers = Table(
    "timers",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("case_ref", Word, nullable=False),
    Column("name", Word, nullable=False),
    Column("subject", Word, nullable=False),
    Column("workflow", Word, nullable=False),
    Column("event", Word, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("wake_at", UtcDateTime),  # when to look at it; None while it is held
    Column("errors", Integer, nullable=False, server_default=text("0")),
    Column("armed_by", Integer, nullable=False),  # sequence of the history row
    PrimaryKeyConstraint("tenant", "case_ref", "name", name="timers_pk"),
    sqlite_with_rowid=False,
)
# Carries the subject, so that a sweep learns whom to lock from the index alone.
Index(
    "timers_to_wake",
    timers.c.wake_at,
    timers.c.tenant,
    timers.c.subject,
    sqlite_where=timers.c.wake_at.is_not(None),
    postgresql_where=timers.c.wake_at.is_not(None),
)
Index("timers_of_subject", timers.c.tenant, timers.c.subject)

names = Table(
    "names",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("collection", Word, nullable=False),  # customers, invitations, authorizations, orders, memberships, returns
    Column("value", Word, nullable=False),
    Column("case_ref", Word, nullable=False),
    Column("subject", Word, nullable=False),
    Column("kind", Word, nullable=False),  # ours, sender, vip_number, po_number, order_number, email
    Column("exclusive", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant", "collection", "value", "case_ref", name="names_pk"),
    ForeignKeyConstraint(["tenant", "subject"], ["subjects.tenant", "subjects.ref"], name="names_of_subject"),
    sqlite_with_rowid=False,
)
Index(
    "names_exclusive",
    names.c.tenant,
    names.c.collection,
    names.c.value,
    unique=True,
    sqlite_where=names.c.exclusive,
    postgresql_where=names.c.exclusive,
)
Index("names_by_value", names.c.tenant, names.c.value)

# The past

history = Table(
    "history",
    metadata,
    # Where a reader's cursor stands. PostgreSQL gives positions out before the commit: read below the oldest open
    # transaction.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), nullable=False),
    Column("tenant", Integer, nullable=False),
    Column("subject", Word, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("case_ref", Word, nullable=False),
    Column("workflow", Word, nullable=False),
    Column("event", Word, nullable=False),
    Column("from_state", Word),
    Column("to_state", Word, nullable=False),
    Column("facts_before", JsonText, nullable=False),  # the changed facts only
    Column("facts_after", JsonText, nullable=False),
    Column("timers", JsonText, nullable=False),
    Column("messages", JsonText, nullable=False),
    Column("policy", Word, nullable=False),
    Column("fingerprint", Word, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("actor_kind", Word, nullable=False),
    Column("actor", Word),
    Column("reason", Word),
    Column("cause", Word, nullable=False),
    Column("source", Word),
    Column("event_id", Word),
    Column("note", JsonText),
    # What makes a changed row visible: personal data enter the hash as a salted digest, so that they can be erased.
    Column("salt", Word, nullable=False, server_default=text("''")),
    Column("digest", Word, nullable=False, server_default=text("''")),
    Column("hash", Word, nullable=False, server_default=text("''")),  # of the subject's previous row and this one
    PrimaryKeyConstraint("position", name="history_pk"),
    UniqueConstraint("tenant", "subject", "sequence", name="history_of_subject"),
    UniqueConstraint("tenant", "cause", name="history_by_cause"),
)
Index("history_of_case", history.c.tenant, history.c.case_ref, history.c.sequence)

inbox = Table(
    "inbox",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("source", Word, nullable=False),
    Column("event_id", Word, nullable=False),
    Column("body_hash", Word, nullable=False),
    Column("type", Word, nullable=False),
    Column("subject", Word, nullable=False),  # the path as sent
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("verdict", Word, nullable=False),  # applied, refused, stale, parked, quarantined
    Column("reasons", JsonText),
    Column("body", JsonText),  # kept while parked or quarantined
    Column("waiting_for", Word),
    Column("expires_at", UtcDateTime),
    Column("case_ref", Word),
    Column("subject_ref", Word),
    Column("sequence", Integer),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("tenant", "source", "event_id", name="inbox_pk"),
    sqlite_with_rowid=False,
)
_parked = inbox.c.verdict == "parked"
Index("inbox_waiting_for", inbox.c.tenant, inbox.c.waiting_for, sqlite_where=_parked, postgresql_where=_parked)
Index("inbox_parked_until", inbox.c.expires_at, sqlite_where=_parked, postgresql_where=_parked)

# What leaves, what went wrong

messages = Table(
    "messages",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("key", Word, nullable=False),  # <case>:<sequence>:<template>:<audience>
    Column("subject", Word, nullable=False),
    Column("case_ref", Word, nullable=False),
    Column("workflow", Word, nullable=False),
    Column("template", Word, nullable=False),
    Column("audience", Word, nullable=False),
    Column("ladder", Word),
    Column("person", JsonText, nullable=False),
    Column("language", Word, nullable=False),
    Column("context", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("state", Word, nullable=False),  # waiting, held, sending, sent, superseded, dead, uncertain, discarded
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("copies", Integer, nullable=False, server_default=text("0")),
    Column("message_id", Word),
    Column("content_hash", Word),
    Column("body", PackedBytes),
    Column("claimed_at", UtcDateTime),  # when whoever is sending it took it in hand
    Column("sent_at", UtcDateTime),
    Column("note", Word),
    Column("recipient", Word, nullable=False, server_default=text("''")),  # the person's key: contact, team:<e-mail>
    Column("digest", Word),  # the key of the message whose bytes hold the digest that this one is part of
    Column("failures", Integer, nullable=False, server_default=text("0")),  # attempts that the server put off
    Column("first_tried_at", UtcDateTime),
    Column("stage", Word),  # how far the last copy came
    Column("daemon", Word),  # whoever has it in hand, or had it last
    PrimaryKeyConstraint("tenant", "key", name="messages_pk"),
)
_waiting = messages.c.state == "waiting"
Index("messages_to_send", messages.c.not_before, sqlite_where=_waiting, postgresql_where=_waiting)
_in_hand = messages.c.state == "sending"
Index("messages_in_hand", messages.c.claimed_at, sqlite_where=_in_hand, postgresql_where=_in_hand)
Index("messages_of_subject", messages.c.tenant, messages.c.subject)
Index(
    "messages_for_recipient",
    messages.c.tenant,
    messages.c.recipient,
    messages.c.not_before,
    sqlite_where=_waiting,
    postgresql_where=_waiting,
)
_has_id = messages.c.message_id.is_not(None)
Index(
    "messages_by_message_id", messages.c.tenant, messages.c.message_id, sqlite_where=_has_id, postgresql_where=_has_id
)
_troubled = messages.c.state.in_(["held", "uncertain", "dead"])
Index(
    "messages_in_trouble",
    messages.c.tenant,
    messages.c.created_at,
    sqlite_where=_troubled,
    postgresql_where=_troubled,
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("address", Word, nullable=False),  # in small letters
    Column("since", UtcDateTime, nullable=False),
    Column("says", Word, nullable=False),  # the server's words
    Column("message", Word),  # the key of the mail that came back
    PrimaryKeyConstraint("tenant", "address", name="suppressions_pk"),
    ForeignKeyConstraint(["tenant"], ["tenants.id"], name="suppressions_of_tenant"),
    sqlite_with_rowid=False,
)

incidents = Table(
    "incidents",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("id", Word, nullable=False),
    Column("subject", Word),
    Column("case_ref", Word),
    Column("kind", Word, nullable=False),
    Column("cause", Word, nullable=False),
    Column("says", JsonText, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Word),
    Column("fault", Word, nullable=False, server_default=text("''")),  # what incidents of one cause have in common
    Column("outcome", Word),  # retried, dismissed, resolved
    Column("remark", Word),
    PrimaryKeyConstraint("tenant", "id", name="incidents_pk"),
    ForeignKeyConstraint(["tenant"], ["tenants.id"], name="incidents_of_tenant"),
)
_open = incidents.c.closed_at.is_(None)
Index("incidents_open", incidents.c.tenant, incidents.c.opened_at, sqlite_where=_open, postgresql_where=_open)

# What somebody stopped on purpose, and what crashed

holds = Table(
    "holds",
    metadata,
    Column("id", Word, nullable=False),
    Column("tenant", Integer),  # None: everybody's
    Column("subject", Word),  # None: all of the tenant's
    Column("mail_only", Boolean, nullable=False),
    Column("kind", Word, nullable=False),  # asked (somebody's act), backlog, clock, restored
    Column("reason", Word, nullable=False),
    Column("details", JsonText),
    Column("made_by", Word, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("released_at", UtcDateTime),
    Column("released_by", Word),
    Column("remark", Word),
    PrimaryKeyConstraint("id", name="holds_pk"),
)
_in_force = holds.c.released_at.is_(None)
Index("holds_in_force", holds.c.tenant, holds.c.subject, sqlite_where=_in_force, postgresql_where=_in_force)

crashes = Table(
    "crashes",
    metadata,
    Column("tenant", Integer, nullable=False),
    Column("subject", Word, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant", "subject", name="crashes_pk"),
    sqlite_with_rowid=False,
)

daemons = Table(
    "daemons",
    metadata,
    Column("id", Word, nullable=False),
    Column("host", Word, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Word, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
    Column("stopped_at", UtcDateTime),
    Column("details", JsonText, nullable=False),  # ticks, transport, refused writes: for people
    PrimaryKeyConstraint("id", name="daemons_pk"),
)

# Acts that are no events of a subject, and the seals over everything

audit = Table(
    "audit",
    metadata,
    # Numbered by the writer, one at a time, without a gap: the database's own counter is not used.
    Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), nullable=False),
    Column("tenant", Integer),  # None: of the installation
    Column("at", UtcDateTime, nullable=False),
    Column("actor_kind", Word, nullable=False),
    Column("actor", Word, nullable=False),
    Column("act", Word, nullable=False),  # mail.retry, hold.make, incident.dismiss
    Column("target", Word, nullable=False),
    Column("reason", Word),
    Column("details", JsonText, nullable=False),
    Column("hash", Word, nullable=False),  # of the previous row and this one
    PrimaryKeyConstraint("position", name="audit_pk"),
)
Index("audit_of_target", audit.c.tenant, audit.c.target)

seals = Table(
    "seals",
    metadata,
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("history_to", BigInteger().with_variant(Integer, "sqlite"), nullable=False),  # the last position covered
    Column("history_rows", BigInteger().with_variant(Integer, "sqlite"), nullable=False),  # of all seals up to here
    Column("audit_to", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("digest", Word, nullable=False),  # of the hashes covered
    Column("previous", Word, nullable=False),  # the mac of the seal before
    Column("made_by", Word, nullable=False),  # the machine
    Column("mac", Word, nullable=False),  # made with the key outside the database
    PrimaryKeyConstraint("number", name="seals_pk"),
)

# What the database knows of itself

meta = Table(
    "meta",
    metadata,
    Column("key", Word, nullable=False),
    Column("value", Word, nullable=False),
    PrimaryKeyConstraint("key", name="meta_pk"),
    sqlite_with_rowid=False,
)
