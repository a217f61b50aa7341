"""Every state of a card, by name: for the tests, for axe and for screenshots. `streamlit run` shows them all."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import streamlit as st

from integrations.providers.base import Provider
from integrations.providers.imai import Imai
from integrations.quota.errors import ErrorCode
from integrations.quota.models import Quota, Reading
from integrations.quota.rules import Thresholds
from integrations.readings.fetch import Failure

IMAI = Imai()
NOTED = Imai()
NOTED.note = "Marketing's card; ask finance@example.com"
NOTED.service_note = "Credits are counted by IMAI once a minute."
NOTED.console = "https://console.example/top-up?plan=(a)&b=$1<x>"
NOW = datetime.now(UTC)


def measured(
    remaining: str,
    total: str | None = "10000",
    *,
    age: timedelta = timedelta(0),
    starts_at: datetime | None = None,
) -> Reading:
    """A reading of these figures."""
    quota = Quota(
        remaining=Decimal(remaining),
        total=Decimal(total) if total else None,
        starts_at=starts_at,
        renews_at=NOW + timedelta(days=4),
    )
    return Reading.measured("IMAI", quota, at=NOW - age, thresholds=Thresholds())


def failed(code: ErrorCode, retry_after: int | None = None) -> Reading:
    """A failure before any reading."""
    retry_at = None if retry_after is None else NOW + timedelta(seconds=retry_after)
    return Reading.without_figures("IMAI", Failure(code, retry_at).to_error(IMAI, now=NOW), unit=IMAI.unit)


def stale(code: ErrorCode) -> Reading:
    """A failure after a good reading."""
    return measured("7500", age=timedelta(hours=2)).after_failure(Failure(code).to_error(IMAI, now=NOW))


def _unlimited() -> Reading:
    quota = Quota(used=Decimal(180_118), unlimited=True, unit="characters")
    return Reading.measured("IMAI", quota, at=NOW, thresholds=Thresholds())


def _money(remaining: str, total: str) -> Reading:
    quota = Quota(remaining=Decimal(remaining), total=Decimal(total), unit="USD")
    return Reading.measured("IMAI", quota, at=NOW, thresholds=Thresholds())


def _renews_today() -> Reading:
    return measured("120").model_copy(update={"renews_at": NOW + timedelta(hours=3)})


STATES: dict[str, Reading] = {
    "0 % used": measured("10000"),
    "25 % used": measured("7500"),
    "80 % used": measured("2000"),
    "95 % used": measured("500"),
    "100 % used": measured("0"),
    "overdrawn": measured("-250"),
    "above the allowance": measured("12000"),
    "fractional": measured("7499.98"),
    "huge": measured("9999999999.98", "20000000000"),
    "money": _money("74.75", "100.5"),
    "with a name of forty characters or a few": measured("999999999999", "1000000000000"),
    "بوابة الدفع الإلكتروني": measured("7500"),
    "total unknown": measured("7500", None),
    "total unknown, nothing left": measured("0", None),
    "no limit": _unlimited(),
    "remainder unknown": Reading.measured("IMAI", Quota(used=Decimal(37)), at=NOW, thresholds=Thresholds()),
    "renews today": _renews_today(),
    "will last": measured("7500", starts_at=NOW - timedelta(days=26)),
    "will run out": measured("900", starts_at=NOW - timedelta(days=26)),
    "an hour old": measured("7500", age=timedelta(hours=1)),
    "stale, unavailable": stale(ErrorCode.TIMEOUT),
    "stale, error": stale(ErrorCode.SUBSCRIPTION_INACTIVE),
    "stale, invalid response": stale(ErrorCode.INVALID_RESPONSE),
    "stale, exhausted": stale(ErrorCode.QUOTA_EXHAUSTED),
    "stale, was to renew": measured("120", age=timedelta(days=5))
    .after_failure(Failure(ErrorCode.TIMEOUT).to_error(IMAI, now=NOW))
    .model_copy(update={"renews_at": NOW - timedelta(hours=6)}),
    "rate limited with a time": failed(ErrorCode.RATE_LIMITED, 120),
    "unavailable with a pause": failed(ErrorCode.PROVIDER_UNAVAILABLE, 600),
    "noted, 25 % used": measured("7500"),
    "noted, 95 % used": measured("500"),
    "noted, stale": stale(ErrorCode.TIMEOUT),
    "noted, timeout": failed(ErrorCode.TIMEOUT),
    **{code.value.replace("_", " "): failed(code) for code in ErrorCode},
}


def draw_state(name: str) -> None:
    """Draw the card of a state."""
    draw_card(STATES[name], provider=provider_of(name))


def provider_of(name: str) -> Provider[Any]:
    """Return the provider of a state."""
    return NOTED if name.startswith("noted") else IMAI


def draw_card(
    reading: Reading, *, provider: Provider[Any] = IMAI, number: int = 0, is_fetching: bool = False
) -> None:
    """Draw one card, whose button does nothing."""
    from integrations.ui import card

    card.draw(
        provider,
        reading,
        number=number,
        is_fetching=is_fetching,
        tried_at=NOW,
        refresh_allowed_at=None,
        on_refresh=lambda: None,
        now=datetime.now(UTC),
        zone=card.viewer_zone(),
    )


def draw() -> None:
    """All of them, one below the other, as several cards stand on the page, and the overview of them."""
    from integrations.ui import overview

    named = [reading.model_copy(update={"provider": f"IMAI, {name}"}) for name, reading in STATES.items()]
    st.set_page_config(page_title="Gallery")
    with st.container(key="top"):
        st.title("Gallery", anchor=False)
    with st.container(key="overview"):
        st.markdown(overview.markdown(named, now=datetime.now(UTC), waiting=["Slow"]))
    with st.container(key="cards"):
        for number, (name, reading) in enumerate(zip(STATES, named, strict=True)):
            draw_card(reading, provider=provider_of(name), number=number)
        busy = measured("7500").model_copy(update={"provider": "IMAI, refreshing"})
        draw_card(busy, number=len(named), is_fetching=True)


if __name__ == "__main__":
    draw()
elif "." not in __name__:  # imported by the server, not by a test
    from starlette.middleware import Middleware

    from integrations.web.assets import AssetsMiddleware

    app = st.App(__file__, middleware=[Middleware(AssetsMiddleware)])
