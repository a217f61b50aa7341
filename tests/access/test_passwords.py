"""Passwords: the rules, and a check that costs the same for every name."""

import unicodedata

import bcrypt
import pytest

from integrations.access import passwords
from integrations.access.passwords import BCRYPT_HASH, PasswordError, check_password, hash_password
from tests.conftest import HASHED, PASSWORD

USUAL = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
CHEAP = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of each bcrypt."""
    rounds: list[int] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        rounds.append(2 ** int(hashed[4:6]))
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return rounds


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cheap hashes, if the cost does not matter."""
    monkeypatch.setattr(passwords, "COST", 4)


def test_a_password_belongs_to_its_hash_and_no_other_does() -> None:
    """Nor does an empty one, nor any password of an unknown user."""
    assert check_password(PASSWORD, HASHED)
    assert not check_password(PASSWORD + "x", HASHED)
    assert not check_password("", HASHED)
    assert not check_password(PASSWORD, None)


def test_hashes_are_salted_bcrypt_of_factor_12() -> None:
    """Two hashes of one password differ, and the store accepts both."""
    again = hash_password(PASSWORD)
    assert again != HASHED
    assert BCRYPT_HASH.fullmatch(again)
    assert passwords.cost(again) == 12


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "password",
    ["x" * 12, "x" * 72, "é" * 12, "é" * 36, "密码" * 6, "🔑" * 12, "correct horse battery staple"],
)
def test_12_characters_to_72_bytes_are_accepted(password: str) -> None:
    """The maximum is in bytes of UTF-8, because bcrypt reads bytes."""
    assert check_password(password, hash_password(password))


@pytest.mark.parametrize(
    ("complaint", "password"),
    [
        ("too short: 11 characters", "x" * 11),
        ("too short: 11 characters", "🔑" * 11),
        ("too short: 0 characters", ""),
        ("too long: 73 bytes", "x" * 73),
        ("too long: 74 bytes", "é" * 37),
        ("begin or end with a space", " " + "x" * 12),
        ("begin or end with a space", "x" * 12 + "\N{NO-BREAK SPACE}"),
        ("control characters", "xxxxxx\0xxxxxx"),
        ("control characters", "xxxxxx\nxxxxxx"),
        ("control characters", "xxxxxx\ud800xxxxxx"),
    ],
)
def test_other_passwords_are_refused_with_the_reason(complaint: str, password: str) -> None:
    """Which does not quote the password: it may end up in a log."""
    with pytest.raises(PasswordError, match=complaint) as refused:
        hash_password(password)
    assert not password or password not in str(refused.value)


@pytest.mark.usefixtures("quick")
def test_the_same_characters_match_however_they_are_composed() -> None:
    """A password typed on a Mac (decomposed) and on Windows (composed) is one password."""
    composed, decomposed = (unicodedata.normalize(form, "caféterrasse") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert check_password(decomposed, hash_password(composed))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("tail", ["x", "\0", "x" * 2_000_000])
def test_nothing_is_cut_off_before_the_comparison(tail: str) -> None:
    """Bcrypt alone would accept a password that continues after 72 bytes or after a NUL."""
    longest = "x" * 72
    assert not check_password(longest + tail, hash_password(longest))


@pytest.mark.parametrize("password", ["x" * 73, "-\0", "\0-"])
def test_the_substitute_for_an_impossible_password_opens_nothing(password: str) -> None:
    """Bcrypt checks "-" in its place; a hash of "-" lets nobody in by it."""
    of_the_substitute = bcrypt.hashpw(b"-", bcrypt.gensalt(4)).decode()
    assert not check_password(password, of_the_substitute)


@pytest.mark.parametrize("hashed", [USUAL, CHEAP, None], ids=["usual", "cheap", "unknown"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong", "x" * 73, "a\0b", "\ud800"])
def test_every_check_costs_the_same_work(spent: list[int], password: str, hashed: str | None) -> None:
    """Known or unknown, right or too long, with a hash of the usual cost or a cheaper one."""
    check_password(password, hashed, highest_cost=8)
    assert sum(spent) == 2**8
