"""An SQLite database as a file: copied page by page while others write."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import insert

from vipflow.store.database import open_database
from vipflow.store.pages import as_one_file, copy_pages, damage_of
from vipflow.store.schema import create_all
from vipflow.store.tables import meta


def test_a_copy_is_of_the_moment_at_which_it_began_whatever_is_written_between_its_steps(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'vipflow.db'}", durability="off")
    create_all(database)
    with database.write() as connection:
        connection.execute(insert(meta), [{"key": f"early {n}", "value": "x" * 2_000_000} for n in range(8)])
    steps: list[int] = []

    def somebody_writes(done: int, total: int) -> None:
        steps.append(done)
        assert len(steps) < 50, "it begins again and again"
        with database.write() as connection:
            connection.execute(insert(meta).values(key=f"late {len(steps)}", value="y" * 200_000))

    copy = tmp_path / "copy.db"
    copy_pages(database, copy, "the copy", somebody_writes)
    database.dispose()
    assert len(steps) > 3
    assert steps == sorted(steps)
    assert damage_of(copy, "the copy") is None
    as_one_file(copy, "the copy")
    with closing(sqlite3.connect(copy)) as kept:
        assert [key for (key,) in kept.execute("SELECT key FROM meta ORDER BY key")] == [f"early {n}" for n in range(8)]
    assert sorted(path.name for path in tmp_path.glob("copy.db*")) == ["copy.db"]
