"""What mails that leave and a daemon that lives need: suppressions, holds, daemons, the audit and its seals."""

import base64
import datetime
import hashlib
import json
import os
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

WORD = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
JSON = sa.Text()
INSTANT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _people()
    _history()
    _messages()
    _incidents()
    _holds()
    _daemons()
    _audit()


def _where(condition: str) -> dict[str, Any]:
    """A partial index, on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _word(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, WORD, nullable=False, server_default=sa.text(f"'{default}'"))


def _people() -> None:
    op.add_column("team", _word("mails", "single"))
    op.create_table(
        "suppressions",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("address", WORD, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("says", WORD, nullable=False),
        sa.Column("message", WORD),
        sa.PrimaryKeyConstraint("tenant", "address", name="suppressions_pk"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="suppressions_of_tenant"),
        sqlite_with_rowid=False,
    )


def _history() -> None:
    for name in ("salt", "digest", "hash"):
        op.add_column("history", _word(name))
    op.add_column("subjects", _word("head"))
    _chain_what_is_there(op.get_bind())


_READ_AT_ONCE = 1000
_PAST = sa.text(
    """
    SELECT position, tenant, subject, sequence, case_ref, workflow, event, from_state, to_state, facts_before,
           facts_after, timers, messages, policy, fingerprint, effective_at, recorded_at, actor_kind, actor, reason,
           cause, source, event_id, note
      FROM history
     WHERE (tenant, subject, sequence) > (:tenant, :subject, :sequence)
     ORDER BY tenant, subject, sequence
     LIMIT :most
    """
)
_CHAIN = sa.text("UPDATE history SET salt = :salt, digest = :digest, hash = :hash WHERE position = :position")
_HEAD = sa.text("UPDATE subjects SET head = :head WHERE tenant = :tenant AND ref = :ref")


def _chain_what_is_there(connection: sa.Connection) -> None:
    """Gives the rows that history has already their hashes, and the subjects their heads."""
    place = {"tenant": -1, "subject": "", "sequence": 0}
    head = ""
    while rows := connection.execute(_PAST, {**place, "most": _READ_AT_ONCE}).all():
        chained = []
        heads: dict[tuple[int, str], str] = {}
        for position, *row in rows:
            tenant, subject, sequence = row[:3]
            if (tenant, subject) != (place["tenant"], place["subject"]):
                head = ""
            place = {"tenant": tenant, "subject": subject, "sequence": sequence}
            salt = _base64(os.urandom(16))
            digest = _hash([salt, row[8], row[9], row[18], row[22]])
            effective_at, recorded_at = _instant(row[14]), _instant(row[15])
            head = _hash(
                [head, *row[:8], *row[10:14], effective_at, recorded_at, *row[16:18], *row[19:22], digest],
            )
            chained.append({"position": position, "salt": salt, "digest": digest, "hash": head})
            heads[tenant, subject] = head
        connection.execute(_CHAIN, chained)
        connection.execute(_HEAD, [{"tenant": t, "ref": ref, "head": head} for (t, ref), head in heads.items()])


def _hash(told: list[Any]) -> str:
    return _base64(hashlib.sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).digest())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _instant(value: str | datetime.datetime) -> str:
    if isinstance(value, str):
        return value
    return value.astimezone(datetime.UTC).isoformat("T", "microseconds").removesuffix("+00:00") + "Z"


def _messages() -> None:
    op.add_column("messages", _word("recipient"))
    op.add_column("messages", sa.Column("digest", WORD))
    op.add_column("messages", sa.Column("failures", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("messages", sa.Column("first_tried_at", INSTANT))
    op.add_column("messages", sa.Column("stage", WORD))
    op.add_column("messages", sa.Column("daemon", WORD))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("UPDATE messages SET recipient = person::json ->> 'key'")
    else:
        op.execute("UPDATE messages SET recipient = json_extract(person, '$.key')")
    op.create_index(
        "messages_for_recipient", "messages", ["tenant", "recipient", "not_before"], **_where("state = 'waiting'")
    )
    op.create_index("messages_by_message_id", "messages", ["tenant", "message_id"], **_where("message_id IS NOT NULL"))
    op.create_index(
        "messages_in_trouble",
        "messages",
        ["tenant", "created_at"],
        **_where("state IN ('held', 'uncertain', 'dead')"),
    )


def _incidents() -> None:
    op.add_column("incidents", _word("fault"))
    op.add_column("incidents", sa.Column("outcome", WORD))
    op.add_column("incidents", sa.Column("remark", WORD))


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", WORD, nullable=False),
        sa.Column("tenant", sa.Integer()),
        sa.Column("subject", WORD),
        sa.Column("mail_only", sa.Boolean(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("reason", WORD, nullable=False),
        sa.Column("details", JSON),
        sa.Column("made_by", WORD, nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT),
        sa.Column("released_at", INSTANT),
        sa.Column("released_by", WORD),
        sa.Column("remark", WORD),
        sa.PrimaryKeyConstraint("id", name="holds_pk"),
    )
    op.create_index("holds_in_force", "holds", ["tenant", "subject"], **_where("released_at IS NULL"))
    op.create_table(
        "crashes",
        sa.Column("tenant", sa.Integer(), nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", name="crashes_pk"),
        sqlite_with_rowid=False,
    )


def _daemons() -> None:
    op.create_table(
        "daemons",
        sa.Column("id", WORD, nullable=False),
        sa.Column("host", WORD, nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", WORD, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("beat_at", INSTANT, nullable=False),
        sa.Column("stopped_at", INSTANT),
        sa.Column("details", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="daemons_pk"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("position", POSITION, sa.Identity(), nullable=False),
        sa.Column("tenant", sa.Integer()),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_kind", WORD, nullable=False),
        sa.Column("actor", WORD, nullable=False),
        sa.Column("act", WORD, nullable=False),
        sa.Column("target", WORD, nullable=False),
        sa.Column("reason", WORD),
        sa.Column("details", JSON, nullable=False),
        sa.Column("hash", WORD, nullable=False),
        sa.PrimaryKeyConstraint("position", name="audit_pk"),
    )
    op.create_index("audit_of_target", "audit", ["tenant", "target"])
    op.create_table(
        "seals",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("history_to", POSITION, nullable=False),
        sa.Column("history_rows", POSITION, nullable=False),
        sa.Column("audit_to", POSITION, nullable=False),
        sa.Column("digest", WORD, nullable=False),
        sa.Column("previous", WORD, nullable=False),
        sa.Column("made_by", WORD, nullable=False),
        sa.Column("mac", WORD, nullable=False),
        sa.PrimaryKeyConstraint("number", name="seals_pk"),
    )
