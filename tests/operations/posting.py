"""A process that invites customers until it is ended, and says so of each: `python posting.py URL`."""

import sys
from itertools import count

from vipflow.clock import HostClock
from vipflow.config import load_settings
from vipflow.operations import customers
from vipflow.operations.installation import load_files, with_database
from vipflow.operations.who import who_asks
from vipflow.store.database import open_database


def main(url: str) -> None:
    database = open_database(url, durability="off", patience=30)
    installation = with_database(load_files(load_settings(None)), database, HostClock())
    who = who_asks(installation, reseller="north", email="bob@north.example")
    for number in count(1):
        done = customers.invite(
            installation,
            who,
            {
                "company": f"Société {number}",
                "segment": "commercial",
                "country": "FR",
                "address": "1 rue des Lilas",
                "city": "Nantes",
                "postal_code": "44000",
                "contact": {"name": "Zoé Roux", "email": f"zoe@societe-{number}.example"},
            },
        )
        print(done.outcome, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
