"""`python -m integrations.cli`: the command, where it is not on the PATH."""

from integrations.cli.main import main

main()
