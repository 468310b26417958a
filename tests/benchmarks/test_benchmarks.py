"""The benchmarks run, and compare like with like; how fast they are is for a quiet machine to say."""

import json

from benchmarks import heart


def test_the_heart_is_measured_beside_a_limit_that_writes_the_same_rows(capsys):
    assert heart.main(["--database", "sqlite", "--cases", "50", "--runs", "1", "--batch", "20", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [(each["database"], each["work"]) for each in told["results"]] == [
        ("sqlite", "drain due timers"),
        ("sqlite", "post a file of events"),
    ]
    for each in told["results"]:
        assert len(each["ours"]) == len(each["limit"]) == 1
        assert each["ours"][0] > 0
        assert each["limit"][0] > 0
        assert each["ratio"] > 0
        assert each["rows"]["history"] >= 50
    assert told["machine"]["cases"] == 50


def test_the_table_for_people_names_the_limits_own_rate(capsys):
    assert heart.main(["--database", "sqlite", "--cases", "8", "--runs", "1"]) == 0

    told = capsys.readouterr().out
    assert "the limit /s" in told
    assert "drain due timers" in told
