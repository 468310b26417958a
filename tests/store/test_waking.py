"""Daemons hear that somebody wrote: each time, not only the first."""

import asyncio

from vipflow.store.database import open_database
from vipflow.store.meta import set_meta
from vipflow.store.schema import create_all
from vipflow.store.waking import heard, notify


def test_every_word_is_heard_not_only_the_first(database_url):
    database = open_database(database_url, durability="off")
    create_all(database)

    def write(number):
        with database.write() as connection:
            set_meta(connection, "word", str(number))
            notify(connection)

    async def story():
        words: asyncio.Queue[None] = asyncio.Queue()

        async def listen():
            async for _ in heard(database_url):
                words.put_nowait(None)

        listening = asyncio.create_task(listen())
        try:
            await asyncio.wait_for(words.get(), 10)  # it begins by looking
            for number in range(3):
                await asyncio.to_thread(write, number)
                await asyncio.wait_for(words.get(), 10)
                while True:  # the second look of the same word; only then is it quiet
                    try:
                        await asyncio.wait_for(words.get(), 0.5)
                    except TimeoutError:
                        break
        finally:
            listening.cancel()

    asyncio.run(story())
    database.dispose()
