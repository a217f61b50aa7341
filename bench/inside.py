"""What the benchmark does inside a panel's process before the panel starts. Nothing is measured here.

`python -m bench.inside serve …` is the command `integrations` with that done first.
"""

import os
from functools import cache
from pathlib import Path
from typing import Final

PROVIDERS_VARIABLE: Final = "BENCH_PROVIDERS"
COOKIE_FILE_VARIABLE: Final = "BENCH_COOKIE_FILE"
USER: Final = "alice"


@cache
def add_providers() -> None:
    """Make the panel show so many copies of IMAI."""
    count = int(os.environ.get(PROVIDERS_VARIABLE, "1"))
    if count == 1:
        return
    from integrations import accounts  # noqa: PLC0415 - the panel is not loaded before it is wanted
    from integrations.providers.imai import Imai  # noqa: PLC0415 - likewise

    copies = (type(f"Imai{number}", (Imai,), {"label": f"IMAI {number}"}) for number in range(1, count + 1))
    accounts.replace(tuple(copy() for copy in copies))


@cache
def sign_in() -> None:
    """Sign `USER` in and write the `Cookie` header to a file.

    For the plain script alone: without `st.App` there is no route where a browser could exchange its ticket.
    """
    from integrations import startup  # noqa: PLC0415 - likewise
    from integrations.access import SignInRefused, auth  # noqa: PLC0415 - likewise

    startup.prepare()
    ticket = auth().sign_in(USER, os.environ["BENCH_PASSWORD"])
    session = None if isinstance(ticket, SignInRefused) else auth().redeem(ticket)
    if session is None:
        raise RuntimeError("the benchmark cannot sign in")
    Path(os.environ[COOKIE_FILE_VARIABLE]).write_text(f"{auth().cookie_name}={session}", encoding="ascii")


if __name__ == "__main__":
    add_providers()

    from integrations.cli.main import main

    main()
