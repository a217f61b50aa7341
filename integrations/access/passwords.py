"""Passwords: the rules, the hash, and a check that takes the same time for every name."""

import re
import unicodedata
from typing import Final

import bcrypt

MIN_CHARACTERS: Final = 12
MAX_BYTES: Final = 72
"""bcrypt ignores what follows."""

MAX_CHARACTERS: Final = 1024
"""The rest is cut off before normalizing: 1,024 characters are over 72 bytes in any form."""

BCRYPT_HASH: Final = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")
"""The work factor is at most 16: a check takes seconds, and with a higher one minutes."""

COST: Final = 12


class PasswordError(ValueError):
    """The password breaks a rule; the text names it."""


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password[:MAX_CHARACTERS]).encode("utf-8", "surrogatepass")


def hash_password(password: str) -> str:
    """Return the bcrypt hash for the store.

    Raises:
        PasswordError: too short, too long, or with characters that a form would strip or cannot send.
    """
    normal = unicodedata.normalize("NFKC", password)
    if normal != normal.strip():
        raise PasswordError("The password must not begin or end with a space.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in normal):
        raise PasswordError("The password must not hold control characters.")
    if len(normal) < MIN_CHARACTERS:
        raise PasswordError(
            f"The password is too short: {len(normal)} characters, at least {MIN_CHARACTERS} are needed."
        )
    length = len(_bytes(password))
    if length > MAX_BYTES:
        raise PasswordError(f"The password is too long: {length} bytes, at most {MAX_BYTES} are possible.")
    return bcrypt.hashpw(_bytes(password), bcrypt.gensalt(COST)).decode("ascii")


def cost(hashed: str) -> int:
    """Return the work factor of a bcrypt hash."""
    return int(hashed[4:6])


def check_password(password: str, hashed: str | None, *, highest_cost: int = COST) -> bool:
    """Return whether the password belongs to the hash. Always takes the time of one bcrypt of `highest_cost`.

    Args:
        password: as typed.
        hashed: the user's hash, or None for an unknown user.
        highest_cost: the highest work factor of the store's hashes.
    """
    reference = (hashed or _dummy(highest_cost)).encode("ascii")
    candidate = _bytes(password)
    fits = len(candidate) <= MAX_BYTES and b"\0" not in candidate
    matches = bcrypt.checkpw(candidate if fits else b"-", reference)
    # Each step of the work factor doubles the rounds: 2^c and then 2^c + 2^(c+1) + … add up to 2^highest_cost.
    for missing in range(cost(reference.decode("ascii")), highest_cost):
        bcrypt.checkpw(b"-", _dummy(missing).encode("ascii"))
    return matches and fits and hashed is not None


def _dummy(work_factor: int) -> str:
    """Return a well-formed hash that no password has."""
    return f"$2b${work_factor:02d}$" + "." * 53
