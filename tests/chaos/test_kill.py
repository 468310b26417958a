"""A few of the kills that `python -m tests.chaos.kill` does by the hundred."""

from tests.chaos.kill import kill_at_random


def test_whoever_is_killed_at_whatever_moment_nothing_is_lost_and_nothing_counts_twice(database_url, tmp_path):
    told = kill_at_random(database_url, tmp_path, kills=8, seed=3)

    assert told.findings == []
    assert (told.lost, told.doubled, told.early) == (0, 0, 0)
    assert (told.mails_lost, told.mails_changed, told.copies_beyond) == (0, 0, 0)
    assert told.acknowledged > 100
    assert told.mails > 5
