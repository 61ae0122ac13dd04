"""``python -m authserver``: the command line."""

from authserver.cli import main

main()
