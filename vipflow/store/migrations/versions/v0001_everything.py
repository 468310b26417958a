"""Everything that vipflow 0.1 keeps.

Released migrations are never edited: what this one makes, databases out there have.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

# Text that is compared, in order of code points on both databases.
WORD = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
JSON = sa.Text()
INSTANT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _tenants()
    _team()
    _policies()
    _subjects()
    _cases()
    _timers()
    _names()
    _history()
    _inbox()
    _messages()
    _incidents()
    _meta()


def _where(condition: str) -> dict[str, Any]:
    """A partial index, on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("key", WORD, nullable=False),
        sa.Column("name", WORD, nullable=False),
        sa.Column("language", WORD, nullable=False),
        sa.Column("zone", WORD, nullable=False),
        sa.Column("policy", WORD, nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="tenants_pk"),
        sa.UniqueConstraint("key", name="tenants_by_key"),
    )


def _team() -> None:
    op.create_table(
        "team",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("email", WORD, nullable=False),
        sa.Column("name", WORD, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("language", WORD),
        sa.Column("phone", WORD),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("joined_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "email", name="team_pk"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="team_of_tenant"),
        sqlite_with_rowid=False,
    )


def _policies() -> None:
    op.create_table(
        "policies",
        sa.Column("id", WORD, nullable=False),
        sa.Column("name", WORD, nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="policies_pk"),
    )


def _subjects() -> None:
    op.create_table(
        "subjects",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("ref", WORD, nullable=False),
        sa.Column("workflow", WORD, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("tally", JSON, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("name", WORD, nullable=False, server_default=sa.text("''")),
        sa.Column("name_folded", WORD, nullable=False, server_default=sa.text("''")),
        sa.Column("email", WORD),
        sa.Column("email_domain", WORD),
        sa.Column("country", WORD),
        sa.Column("vip_number", WORD),
        sa.Column("segment", WORD),
        sa.Column("anniversary", sa.Date()),
        sa.Column("owner", WORD),
        sa.Column("invitation_state", WORD),
        sa.Column("membership_state", WORD),
        sa.Column("pending_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("late_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("licence_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("in_no_products", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("in_pending", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("in_late", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("in_upcoming", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("in_ready", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("next_due", INSTANT),
        sa.Column("next_event", WORD),
        sa.PrimaryKeyConstraint("tenant", "ref", name="subjects_pk"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="subjects_of_tenant"),
    )
    op.create_index("subjects_by_name", "subjects", ["tenant", "name_folded", "ref"])
    op.create_index("subjects_by_owner", "subjects", ["tenant", "owner", "name_folded"])
    op.create_index("subjects_that_look_alike", "subjects", ["tenant", "email_domain", "country"])
    op.create_index("subjects_by_email", "subjects", ["tenant", sa.text("lower(email)")])
    op.create_index("subjects_in_no_products", "subjects", ["tenant", "name_folded", "ref"], **_where("in_no_products"))
    op.create_index("subjects_in_pending", "subjects", ["tenant", "name_folded", "ref"], **_where("in_pending"))
    op.create_index("subjects_in_late", "subjects", ["tenant", "name_folded", "ref"], **_where("in_late"))
    op.create_index("subjects_in_upcoming", "subjects", ["tenant", "name_folded", "ref"], **_where("in_upcoming"))
    op.create_index("subjects_in_ready", "subjects", ["tenant", "name_folded", "ref"], **_where("in_ready"))


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("ref", WORD, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("workflow", WORD, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("facts_version", sa.Integer(), nullable=False),
        sa.Column("policy", WORD, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "ref", name="cases_pk"),
        sa.ForeignKeyConstraint(["tenant", "subject"], ["subjects.tenant", "subjects.ref"], name="cases_of_subject"),
    )
    op.create_index("cases_of_subject_by_settled", "cases", ["tenant", "subject", "settled"])


def _timers() -> None:
    op.create_table(
        "timers",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("case_ref", WORD, nullable=False),
        sa.Column("name", WORD, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("workflow", WORD, nullable=False),
        sa.Column("event", WORD, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("wake_at", INSTANT),
        sa.Column("errors", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("armed_by", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "case_ref", "name", name="timers_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("timers_to_wake", "timers", ["wake_at", "tenant", "subject"], **_where("wake_at IS NOT NULL"))
    op.create_index("timers_of_subject", "timers", ["tenant", "subject"])


def _names() -> None:
    op.create_table(
        "names",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("collection", WORD, nullable=False),
        sa.Column("value", WORD, nullable=False),
        sa.Column("case_ref", WORD, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "collection", "value", "case_ref", name="names_pk"),
        sa.ForeignKeyConstraint(["tenant", "subject"], ["subjects.tenant", "subjects.ref"], name="names_of_subject"),
        sqlite_with_rowid=False,
    )
    op.create_index("names_exclusive", "names", ["tenant", "collection", "value"], unique=True, **_where('"exclusive"'))
    op.create_index("names_by_value", "names", ["tenant", "value"])


def _history() -> None:
    op.create_table(
        "history",
        sa.Column("position", POSITION, sa.Identity(), nullable=False),
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("case_ref", WORD, nullable=False),
        sa.Column("workflow", WORD, nullable=False),
        sa.Column("event", WORD, nullable=False),
        sa.Column("from_state", WORD),
        sa.Column("to_state", WORD, nullable=False),
        sa.Column("facts_before", JSON, nullable=False),
        sa.Column("facts_after", JSON, nullable=False),
        sa.Column("timers", JSON, nullable=False),
        sa.Column("messages", JSON, nullable=False),
        sa.Column("policy", WORD, nullable=False),
        sa.Column("fingerprint", WORD, nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("actor_kind", WORD, nullable=False),
        sa.Column("actor", WORD),
        sa.Column("reason", WORD),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("source", WORD),
        sa.Column("event_id", WORD),
        sa.Column("note", JSON),
        sa.PrimaryKeyConstraint("position", name="history_pk"),
        sa.UniqueConstraint("tenant", "subject", "sequence", name="history_of_subject"),
        sa.UniqueConstraint("tenant", "cause", name="history_by_cause"),
    )
    op.create_index("history_of_case", "history", ["tenant", "case_ref", "sequence"])


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("source", WORD, nullable=False),
        sa.Column("event_id", WORD, nullable=False),
        sa.Column("body_hash", WORD, nullable=False),
        sa.Column("type", WORD, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("verdict", WORD, nullable=False),
        sa.Column("reasons", JSON),
        sa.Column("body", JSON),
        sa.Column("waiting_for", WORD),
        sa.Column("expires_at", INSTANT),
        sa.Column("case_ref", WORD),
        sa.Column("subject_ref", WORD),
        sa.Column("sequence", sa.Integer()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("tenant", "source", "event_id", name="inbox_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("inbox_waiting_for", "inbox", ["tenant", "waiting_for"], **_where("verdict = 'parked'"))
    op.create_index("inbox_parked_until", "inbox", ["expires_at"], **_where("verdict = 'parked'"))


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("key", WORD, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("case_ref", WORD, nullable=False),
        sa.Column("workflow", WORD, nullable=False),
        sa.Column("template", WORD, nullable=False),
        sa.Column("audience", WORD, nullable=False),
        sa.Column("ladder", WORD),
        sa.Column("person", JSON, nullable=False),
        sa.Column("language", WORD, nullable=False),
        sa.Column("context", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("not_before", INSTANT, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("copies", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("message_id", WORD),
        sa.Column("content_hash", WORD),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("claimed_at", INSTANT),
        sa.Column("sent_at", INSTANT),
        sa.Column("note", WORD),
        sa.PrimaryKeyConstraint("tenant", "key", name="messages_pk"),
    )
    op.create_index("messages_to_send", "messages", ["not_before"], **_where("state = 'waiting'"))
    op.create_index("messages_in_hand", "messages", ["claimed_at"], **_where("state = 'sending'"))
    op.create_index("messages_of_subject", "messages", ["tenant", "subject"])


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("id", WORD, nullable=False),
        sa.Column("subject", WORD),
        sa.Column("case_ref", WORD),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("says", JSON, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("closed_by", WORD),
        sa.PrimaryKeyConstraint("tenant", "id", name="incidents_pk"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="incidents_of_tenant"),
    )
    op.create_index("incidents_open", "incidents", ["tenant", "opened_at"], **_where("closed_at IS NULL"))


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("key", WORD, nullable=False),
        sa.Column("value", WORD, nullable=False),
        sa.PrimaryKeyConstraint("key", name="meta_pk"),
        sqlite_with_rowid=False,
    )
