"""A rehearsal: what is written in it is seen in it, and nowhere else, and is gone at its end."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from vipflow.errors import Busy
from vipflow.store.database import open_database
from vipflow.store.meta import get_meta, set_meta
from vipflow.store.tables import meta


def kept(database, key):
    with database.read() as connection:
        return get_meta(connection, key)


def keep(database, key, value):
    with database.write() as connection:
        set_meta(connection, key, value)


def test_what_is_rehearsed_is_seen_in_the_rehearsal_and_gone_afterwards(database):
    keep(database, "a", "before")
    with database.rehearsing() as rehearsal:
        keep(rehearsal, "a", "rehearsed")
        keep(rehearsal, "b", "rehearsed too")
        assert (kept(rehearsal, "a"), kept(rehearsal, "b")) == ("rehearsed", "rehearsed too")
        assert kept(database, "a") == "before"
    assert (kept(database, "a"), kept(database, "b")) == ("before", None)
    keep(database, "a", "after")
    assert kept(database, "a") == "after"


def test_a_block_that_raises_is_undone_alone_whether_we_or_the_database_raised(database):
    def half(rehearsal):
        with rehearsal.write() as connection:
            set_meta(connection, "a", "2")
            raise ZeroDivisionError

    def twice(rehearsal):
        with rehearsal.write() as connection:
            set_meta(connection, "b", "2")
            connection.execute(meta.insert().values(key="a", value="twice"))

    with database.rehearsing() as rehearsal:
        keep(rehearsal, "a", "1")
        with pytest.raises(ZeroDivisionError):
            half(rehearsal)
        with pytest.raises(IntegrityError):
            twice(rehearsal)
        with pytest.raises(IntegrityError), rehearsal.read() as connection:
            connection.execute(meta.insert().values(key="a", value="twice"))
        assert (kept(rehearsal, "a"), kept(rehearsal, "b")) == ("1", None)
        keep(rehearsal, "b", "3")
        assert kept(rehearsal, "b") == "3"


def test_what_only_reads_leaves_nothing_even_in_a_rehearsal(database):
    with database.rehearsing() as rehearsal:
        with rehearsal.read() as connection:
            set_meta(connection, "a", "1")
        assert kept(rehearsal, "a") is None


def test_a_rehearsal_that_raises_is_undone_as_well(database):
    def half():
        with database.rehearsing() as rehearsal:
            keep(rehearsal, "a", "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert kept(database, "a") is None
    keep(database, "a", "2")


def test_a_rehearsal_in_a_rehearsal_undoes_itself_alone(database):
    with database.rehearsing() as outer:
        keep(outer, "a", "outer")
        with outer.rehearsing() as inner:
            keep(inner, "a", "inner")
            assert kept(inner, "a") == "inner"
        assert kept(outer, "a") == "outer"
        keep(outer, "b", "after")
        assert kept(outer, "b") == "after"
    assert (kept(database, "a"), kept(database, "b")) == (None, None)


def test_others_wait_for_a_rehearsal_as_for_every_writer_and_go_on_after_it(database, database_url):
    keep(database, "a", "1")
    other = open_database(database_url, durability="off", patience=0.05)
    try:
        with database.rehearsing() as rehearsal:
            keep(rehearsal, "a", "2")
            with pytest.raises(Busy), other.write() as connection:
                connection.execute(select(meta.c.value).where(meta.c.key == "a").with_for_update()).all()
            assert kept(other, "a") == "1"
        keep(other, "a", "3")
        assert kept(database, "a") == "3"
    finally:
        other.dispose()
