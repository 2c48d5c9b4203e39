"""`python -m node.cli` is `weal`."""

from node.cli import main

main()
