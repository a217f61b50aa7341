"""Passwords: what is accepted, and a check that costs everybody the same."""

import time
import unicodedata
from statistics import median

import bcrypt
import pytest

from integrations.access import passwords
from integrations.access.passwords import BCRYPT_HASH, PasswordError, check_password, hash_password
from tests.conftest import HASHED, PASSWORD

USUAL = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
CHEAP = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of each bcrypt that is run."""
    rounds: list[int] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        rounds.append(2 ** int(hashed[4:6]))
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return rounds


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of little work, where the work is not the matter."""
    monkeypatch.setattr(passwords, "COST", 4)


def test_a_password_belongs_to_its_hash_and_no_other_does() -> None:
    """The right password matches; another, an empty one and none at all do not."""
    assert check_password(PASSWORD, HASHED)
    assert not check_password(PASSWORD + "x", HASHED)
    assert not check_password("", HASHED)
    assert not check_password(PASSWORD, None)


def test_hashes_are_salted_bcrypt_of_factor_12() -> None:
    """Two hashes of one password differ, and both have the shape that the store demands."""
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
    """The most is counted in bytes of UTF-8, since that is what bcrypt reads."""
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
    """What bcrypt would cut off, or a form would strip, is refused when it is set."""
    with pytest.raises(PasswordError, match=complaint):
        hash_password(password)


def test_a_refusal_does_not_quote_the_password() -> None:
    """The reason may end in a terminal's history or a log."""
    with pytest.raises(PasswordError) as refused:
        hash_password("hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.usefixtures("quick")
def test_the_same_characters_match_however_they_are_composed() -> None:
    """A password typed on a Mac (decomposed) and on Windows (composed) is one password."""
    composed, decomposed = (unicodedata.normalize(form, "caféterrasse") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert check_password(decomposed, hash_password(composed))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("tail", ["x", "\0", "x" * 2_000_000])
def test_nothing_is_cut_off_before_the_comparison(tail: str) -> None:
    """By itself, bcrypt would take a password that continues after 72 bytes, or after a NUL, for the right one."""
    longest = "x" * 72
    assert not check_password(longest + tail, hash_password(longest))


@pytest.mark.parametrize("password", ["x" * 73, "-\0", "\0-"])
def test_what_stands_in_for_an_impossible_password_opens_nothing(password: str) -> None:
    """For a password that bcrypt cannot take it is given "-"; a store whose hash is of "-" lets nobody in by it."""
    of_the_stand_in = bcrypt.hashpw(b"-", bcrypt.gensalt(4)).decode()
    assert not check_password(password, of_the_stand_in)


@pytest.mark.parametrize(
    ("password", "hashed"),
    [
        (PASSWORD, USUAL),
        ("wrong", USUAL),
        ("wrong", None),
        ("x" * 73, USUAL),
        ("x" * 73, None),
        ("a\0b", USUAL),
        ("\ud800", USUAL),
        ("wrong", CHEAP),
        (PASSWORD, CHEAP),
    ],
    ids=[
        "right",
        "wrong",
        "unknown",
        "over-long",
        "over-long and unknown",
        "NUL",
        "surrogate",
        "cheap",
        "cheap and right",
    ],
)
def test_every_check_costs_the_same_work(spent: list[int], password: str, hashed: str | None) -> None:
    """Known or unknown, right or over-long, with a hash of the usual cost or a cheaper one: the same rounds."""
    check_password(password, hashed, highest_cost=8)
    assert sum(spent) == 2**8


def test_every_check_takes_the_same_time() -> None:
    """By the clock, too: known, unknown, over-long and cheaply hashed are within 20 % of each other."""
    usual = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    cases = {
        "known": ("wrong", usual),
        "right": (PASSWORD, usual),
        "unknown": ("wrong", None),
        "over-long": ("x" * 5000, usual),
        "cheap": ("wrong", CHEAP),
    }
    taken: dict[str, list[float]] = {case: [] for case in cases}
    for _ in range(7):  # in turns, so that a busy machine is busy for all of them
        for case, (password, hashed) in cases.items():
            begun = time.thread_time()
            check_password(password, hashed, highest_cost=10)
            taken[case].append(time.thread_time() - begun)
    times = [median(samples) for samples in taken.values()]
    assert max(times) < 1.2 * min(times)
