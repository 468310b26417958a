"""The small tables: tenants and teams, policies, and what the database knows of itself."""

from datetime import UTC, datetime, timedelta

from vipflow.store.meta import database_now, get_meta, remember_now, set_meta
from vipflow.store.policies import (
    PolicyRow,
    all_policies,
    keep_policy,
    policies_by_id,
)
from vipflow.store.tenants import (
    MemberRow,
    add_team_member,
    add_tenant,
    all_tenants,
    team_member,
    team_members,
    tenant_by_key,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_tenant_is_added_once_and_keeps_its_number(database):
    first = given_tenant(database, "été", name="L'Été")
    other = given_tenant(database, "hiver")
    again = given_tenant(database, "été", name="Another name")
    assert (first.id, other.id) == (1, 2)
    assert again == first
    with database.read() as connection:
        assert all_tenants(connection) == [first, other]
        assert tenant_by_key(connection, "hiver") == other
        assert tenant_by_key(connection, "nobody") is None
    assert first.name == "L'Été"
    assert first.created_at == NOON


def test_a_team_belongs_to_its_tenant(database):
    for key in ("a", "b"):
        given_tenant(database, key)
    zoe = MemberRow(1, "zoe@exemple.fr", "Zoé", "operator", "fr", None, True, NOON)
    ann = MemberRow(1, "ann@exemple.fr", "Ann", "viewer", None, "+33 1 23 45 67 89", False, NOON)
    with database.write() as connection:
        assert add_team_member(connection, zoe)
        assert add_team_member(connection, ann)
        assert not add_team_member(connection, zoe._replace(role="admin"))
    with database.read() as connection:
        assert team_members(connection, 1) == [ann, zoe]
        assert team_members(connection, 2) == []
        assert team_member(connection, 1, "zoe@exemple.fr") == zoe
        assert team_member(connection, 2, "zoe@exemple.fr") is None


def test_a_policy_is_kept_once_under_its_id(database):
    policy = PolicyRow("abc", "vip-2024", '{"order_due_days": 30}')
    with database.write() as connection:
        assert keep_policy(connection, policy)
        assert not keep_policy(connection, policy)
        keep_policy(connection, PolicyRow("abd", "vip-2019", "{}"))
    with database.read() as connection:
        assert policies_by_id(connection, {"abc", "nothing"}) == {"abc": policy}
        assert policies_by_id(connection, []) == {}
        assert [row.name for row in all_policies(connection)] == ["vip-2019", "vip-2024"]


def test_what_the_database_knows_of_itself_is_the_last_thing_said(database):
    with database.write() as connection:
        assert get_meta(connection, "paused") is None
        set_meta(connection, "paused", "no")
        set_meta(connection, "paused", "since lunch")
        assert get_meta(connection, "paused") == "since lunch"


def test_a_clock_that_is_set_back_does_not_make_time_repeat_itself(database):
    if database.dialect == "postgresql":
        with database.write() as connection:
            first = database_now(connection, NOON)
            remember_now(connection, first)
            assert NOON < first < database_now(connection, NOON) + timedelta(microseconds=1)
            assert first.tzinfo is UTC
            assert get_meta(connection, "clock") is None
        return
    with database.write() as connection:
        assert database_now(connection, NOON) == NOON
        remember_now(connection, NOON)
    with database.read() as connection:
        assert database_now(connection, NOON - timedelta(hours=1)) == NOON
        assert database_now(connection, NOON + timedelta(hours=1)) == NOON + timedelta(hours=1)


def given_tenant(database, key, name="A"):
    with database.write() as connection:
        return add_tenant(
            connection,
            key=key,
            name=name,
            language="fr",
            zone="Europe/Paris",
            policy="vip-2024",
            settings="{}",
            created_at=NOON,
        )
