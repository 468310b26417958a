"""`python -m vipflow` is `vipflow`."""

from vipflow.cli import main

main()
