"""`GET /metrics`: the same readings as the page, for Prometheus; and the activity of the panel itself."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from integrations import accounts
from integrations.access import INTEGRATION_READ, Denial, auth
from integrations.providers.base import Provider
from integrations.quota.errors import Status
from integrations.quota.models import Reading
from integrations.readings import fetch, shared, traffic
from integrations.state import StateError
from integrations.web import problems
from integrations.web.requester import authenticate_token
from integrations.web.usage import read_all
from integrations.web.websocket_guard import open_websockets

if TYPE_CHECKING:
    from prometheus_client import Metric

_OPENMETRICS: Final = "application/openmetrics-text"
_PLAIN: Final = "text/plain"
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class MetricsEndpoint(HTTPEndpoint):
    """Serves every figure to a machine with a token; a cookie is ignored."""

    async def get(self, request: Request) -> Response:
        """Return 200 with the metrics, also of failed providers; 401, 403, 429 or 503 without."""
        found = await anyio.to_thread.run_sync(authenticate_token, request) or Denial.SIGNED_OUT
        if isinstance(found, Denial):
            return problems.denied(found)
        if not found.may(INTEGRATION_READ):
            return problems.forbidden()
        if await read_all() is None:
            return problems.stopping()
        openmetrics = _wants_openmetrics(request.headers.get("accept", ""))
        body, media_type = await anyio.to_thread.run_sync(_exposition, openmetrics)
        return Response(body, headers={"Cache-Control": "no-store", "Content-Type": media_type})

    @override
    async def method_not_allowed(self, request: Request) -> Response:
        return problems.method_not_allowed(request)


def _wants_openmetrics(accept: str) -> bool:
    return _weight(accept, _OPENMETRICS) > 0 and _weight(accept, _OPENMETRICS) >= _weight(accept, _PLAIN)


def _weight(accept: str, media_type: str) -> float:
    """Return the weight of a media type (RFC 9110, 12.4.2); 0 if it is refused, not named or not readable."""
    found = [0.0]
    for entry in accept.lower().replace(" ", "").split(","):
        name, *parameters = entry.split(";")
        if name == media_type:
            stated = [parameter[2:] for parameter in parameters if parameter.startswith("q=")] or ["1"]
            found.append(float(stated[0]) if _WEIGHT.fullmatch(stated[0]) else 0.0)
    return max(found)


def _exposition(openmetrics: bool) -> tuple[bytes, str]:
    """Return all metrics as text, and its media type."""
    import prometheus_client
    from prometheus_client.openmetrics import exposition

    registry = prometheus_client.CollectorRegistry()
    registry.register(_Collector())
    if openmetrics:
        body: bytes = exposition.generate_latest(registry)  # type: ignore[no-untyped-call]
        return body, exposition.CONTENT_TYPE_LATEST
    return prometheus_client.generate_latest(registry), prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    help: str
    of: Callable[[Reading], Decimal | float | None]


_ACCOUNT: Final = ("integration",)
_QUOTA: Final = ("integration", "quota", "unit")
_PROCESS: Final = "process"
"""The label of the process that counted: counters of several processes, mixed, would look like resets."""


def _ratio(reading: Reading) -> Decimal | None:
    return None if reading.usage_percentage is None else reading.usage_percentage / 100


def _severity(reading: Reading) -> float | None:
    return None if reading.level is None else float(reading.level.severity)


def _timestamp(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


_FIGURES: Final = (
    _Figure(
        "integration_quota_remaining", "What is left; below 0 when overdrawn.", lambda r: r.remaining_quota
    ),
    _Figure("integration_quota_used", "What is used.", lambda r: r.used_quota),
    _Figure("integration_quota_used_ratio", "The share used; 1 or more only if nothing is left.", _ratio),
    _Figure("integration_quota_level", "0 ok, 1 warning, 2 critical, 3 exhausted.", _severity),
    _Figure(
        "integration_renews_timestamp_seconds",
        "When the quota is filled again.",
        lambda r: _timestamp(r.renews_at),
    ),
    _Figure(
        "integration_projected_exhaustion_timestamp_seconds",
        "When nothing will be left at the average pace so far, if before the renewal.",
        lambda r: _timestamp(r.projected_exhaustion_at),
    ),
)


class _Collector:
    """Metrics of the current readings. An unknown figure is absent: never 0, never NaN."""

    def collect(self) -> "Iterator[Metric]":
        """Yield every metric family."""
        from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily

        readings = [(provider, shared.of(provider).readings) for provider in accounts.current()]
        # A total is a gauge, but linters expect a counter if the name ends in _total: the type stays unknown.
        totals = UnknownMetricFamily("integration_quota_total", "The allowance.", labels=_QUOTA)
        _add(totals, readings, lambda reading: reading.total_quota)
        yield totals
        for figure in _FIGURES:
            family = GaugeMetricFamily(figure.name, figure.help, labels=_QUOTA)
            _add(family, readings, figure.of)
            yield family
        yield from _states(readings)
        yield from _panel()


Readings = list[tuple[Provider[Any], fetch.Readings]]


def _add(family: Any, readings: Readings, figure: Callable[[Reading], Decimal | float | None]) -> None:
    for provider, of_provider in readings:
        for reading in of_provider:
            value = figure(reading)
            if value is not None:
                quota = reading.provider.removeprefix(provider.label).strip()
                family.add_metric([provider.label, quota, reading.unit or ""], float(value))


def _states(readings: Readings) -> "Iterator[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    up = GaugeMetricFamily("integration_up", "1 when the last attempt gave figures, else 0.", labels=_ACCOUNT)
    success = GaugeMetricFamily(
        "integration_last_success_timestamp_seconds", "When the figures were read.", labels=_ACCOUNT
    )
    errors = GaugeMetricFamily(
        "integration_error", "1 for the reason why the last attempt failed.", labels=(*_ACCOUNT, "code")
    )
    for provider, of_provider in readings:
        up.add_metric(
            [provider.label], float(all(reading.status is Status.ACTIVE for reading in of_provider))
        )
        moments = [reading.fetched_at.timestamp() for reading in of_provider if reading.fetched_at]
        if moments:
            success.add_metric([provider.label], min(moments))
        for code in sorted({reading.error.code for reading in of_provider if reading.error}):
            errors.add_metric([provider.label, code], 1.0)
    yield from (up, success, errors)


def _panel() -> "Iterator[Metric]":
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        SummaryMetricFamily,
    )

    with suppress(StateError):  # an unknown number is left out
        sessions = len(auth().sessions.all())
        yield GaugeMetricFamily("integration_panel_sessions", "Signed-in sessions.", value=sessions)
    process = str(os.getpid())
    websockets = GaugeMetricFamily("integration_panel_websockets", "Open pages.", labels=(_PROCESS,))
    websockets.add_metric([process], open_websockets.count)
    requests = CounterMetricFamily(
        "integration_requests",
        "HTTP requests sent to the provider, repeated ones too.",
        labels=(*_ACCOUNT, _PROCESS),
    )
    durations = SummaryMetricFamily(
        "integration_fetch_duration_seconds",
        "How long the provider's figures took to fetch.",
        labels=(*_ACCOUNT, _PROCESS),
    )
    for label, counted in sorted(traffic.by_provider().items()):
        requests.add_metric([label, process], counted.requests)
        durations.add_metric([label, process], count_value=counted.fetches, sum_value=counted.seconds)
    yield from (websockets, requests, durations)
