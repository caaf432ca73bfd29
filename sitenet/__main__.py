"""`python -m sitenet` is the command `sitenet`."""

from sitenet.cli import main

main()
