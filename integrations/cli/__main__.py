"""`python -m integrations.cli`: the command, if it is not on the PATH."""

from integrations.cli.main import main

main()
