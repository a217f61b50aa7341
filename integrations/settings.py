"""Settings from the environment and `.env`. Each provider's settings are in the provider's module."""

import re
import ssl
from decimal import Decimal
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, SettingsConfigDict

from integrations.files import env_file
from integrations.quota.errors import SettingsError

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",  # variables of other programs and of other providers
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_quotes(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
            raise ValueError("the quotes around the value are part of it. Take them out")
        return text

    @classmethod
    def variable(cls, field: str) -> str:
        """Return a field's environment variable: its alias, or the prefix and its name."""
        alias = cls.model_fields[field].validation_alias if field in cls.model_fields else None
        return alias if isinstance(alias, str) else f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def load(cls) -> Self:
        """Read the settings.

        Raises:
            SettingsError: a value or a line of the file is wrong; one line for each defect.
        """
        env_file.check()
        source = EnvSettingsSource(cls)
        # Not by pydantic's own reader of `.env`, which replaces `${NAME}` in a value.
        in_file = {name.lower(): value for name, value in env_file.values().items() if value}
        source.env_vars = {**in_file, **source.env_vars}
        try:
            return cls(**source())
        except ValidationError as error:
            raise SettingsError("\n".join(cls._lines(error))) from None

    @classmethod
    def _lines(cls, error: ValidationError) -> list[str]:
        names = {str(field.validation_alias or name): name for name, field in cls.model_fields.items()}
        lines = []
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            field = names.get(str(problem["loc"][0])) if problem["loc"] else None
            message = problem["msg"].removeprefix("Value error, ")
            if field:
                hint = cls.model_fields[field].description
                lines.append(f"{cls.variable(field)}: {message}. Expected: {hint}")
            else:
                lines.append(message)
        return lines


def _http_header_value(key: SecretStr) -> SecretStr:
    """Refuse a key that could split or break a request (RFC 9110, 5.5)."""
    if not all("!" <= character <= "~" for character in key.get_secret_value()):
        raise ValueError("the key holds a space, a line break or a character outside ASCII")
    return key


def _blank_is_absent(key: SecretStr | None) -> SecretStr | None:
    return key if key is not None and key.get_secret_value().strip() else None


_AFTER_IPV6: Final = re.compile(r"^\[[^\]]+\](:\d+)?$")
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\]")


def _https_or_loopback(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if not host or any(character <= " " or character > "~" for character in url):
        raise ValueError("not a URL")
    if "[" in parts.netloc and _AFTER_IPV6.search(parts.netloc) is None:
        raise ValueError("not a URL")  # urlsplit reads [::1]evil.example as ::1
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the URL must hold no user name, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise ValueError("the URL must begin with https:// (plain http:// only for loopback hosts)")
    return url.rstrip("/")


def _split(text: object) -> object:
    """Split a list as written in the environment: values separated by commas, or the word none."""
    if not isinstance(text, str):
        return text
    return [] if text.lower() == "none" else [part.strip() for part in text.split(",") if part.strip()]


def _address(text: str) -> str:
    """Return an IP address or a network in its usual form."""
    try:
        return str(ip_network(text)) if "/" in text else str(ip_network(text).network_address)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address or network") from None


def _host(text: str) -> str:
    """Return a host's name as in a Host header, without its port."""
    if _HOST.fullmatch(text.lower()) is None:
        raise ValueError(f"{text!r} is no host name; leave out scheme, port and path")
    return text.lower()


Addresses = Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], NoDecode, BeforeValidator(_split)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_split)]


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("the home directory of ~ is unknown") from None


def _certificates(path: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError("not a file of certificates") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return path


def _proxy_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        valid = parts.scheme == "http" and parts.hostname and parts.port
    except ValueError:
        valid = None
    if not valid:
        raise ValueError("not the address of a proxy")
    return url


FilePath = Annotated[Path, AfterValidator(_expand_home)]
"""A path in which ~ is the home directory."""

ApiKey = Annotated[SecretStr, AfterValidator(_http_header_value)]
"""A key that is never printed and fits into a header."""

OptionalApiKey = Annotated[ApiKey | None, AfterValidator(_blank_is_absent)]
"""Blank or absent: not configured."""

BaseUrl = Annotated[str, AfterValidator(_https_or_loopback)]
"""A provider's address: https, or a loopback host; without its last slash."""


class ProviderSettings(_Settings):
    """The settings that every provider has: the key, absent until the operator adds it."""

    api_key: OptionalApiKey = Field(
        default=None, description="the provider's API key, ASCII without spaces; secret"
    )

    @classmethod
    def of_account(cls, name: str) -> type[Self]:
        """Return the same settings for one of several accounts: the prefix continues with its name in capitals.

        Args:
            name: for example `Agency 2`: `IMAI_API_KEY` becomes `IMAI_AGENCY_2_API_KEY`.
        """
        word = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
        prefix = f"{cls.model_config.get('env_prefix', '')}{word}_"
        made: type[Self] = create_model(cls.__name__, __base__=cls)
        made.model_config = SettingsConfigDict(**{**cls.model_config, "env_prefix": prefix})
        return made


class PanelSettings(_Settings):
    """The panel's own settings."""

    model_config = SettingsConfigDict(env_prefix="PANEL_")

    cache_ttl_seconds: int = Field(
        default=300, ge=1, le=86_400, description="how long a good reading is served: 1 to 86400 seconds"
    )
    deadline_seconds: float = Field(
        default=10, gt=0, le=120, description="the most one provider may take: up to 120 seconds"
    )
    warning_percent: Decimal = Field(
        default=Decimal(80), gt=0, le=100, description="percentage used that counts as low: above 0, to 100"
    )
    critical_percent: Decimal = Field(
        default=Decimal(95),
        gt=0,
        le=100,
        description="percentage used that counts as almost exhausted: above the warning, up to 100",
    )
    auth_file: FilePath = Field(
        default=Path(".streamlit/auth.yaml"), description="the path of the YAML credential/role store"
    )
    providers_file: FilePath = Field(
        default=Path(".streamlit/providers.yaml"), description="the path of the YAML file of accounts"
    )
    state_url: SecretStr = Field(
        default=SecretStr("sqlite:///.streamlit/state.sqlite3"),
        description="where sign-ins and readings are kept: a file, memory or Redis; secret",
    )
    session_hours: float = Field(
        default=12, gt=0, le=720, description="the longest life of a sign-in: up to 720 hours"
    )
    session_idle_minutes: float = Field(
        default=60, gt=0, le=43_200, description="a sign-in unused this long ends: up to 43200 minutes"
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="the address to listen on")
    port: int = Field(default=8501, ge=0, le=65_535, description="the port to listen on, up to 65535")
    ca_file: Annotated[FilePath | None, AfterValidator(lambda path: path and _certificates(path))] = Field(
        default=None, description="PEM certificates of authorities to trust, in addition to the public ones"
    )
    https_proxy: Annotated[SecretStr | None, AfterValidator(lambda url: url and _proxy_url(url))] = Field(
        default=None, description="the proxy to the providers, as http://[user:password@]host:port; secret"
    )
    no_proxy: Hosts = Field(
        default=(),
        description="host names that are reached without the proxy, with commas; *.example.com for all below",
    )
    cookie_secure: bool = Field(
        default=True, description="true, or false for plain HTTP on a trusted network only"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text, or json for one object a line"
    )
    trusted_proxies: Addresses = Field(
        default=("127.0.0.1", "::1"),
        description="IP addresses or networks of your proxies, with commas between them, or none",
    )
    allowed_hosts: Hosts = Field(
        default=(),
        description="host names without port, with commas between them; *.example.com for all below",
    )

    @model_validator(mode="before")
    @classmethod
    def _ignore_case(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name, spell in (("log_level", str.upper), ("log_format", str.lower)):
            if isinstance(values.get(name), str):
                values[name] = spell(values[name])
        return values

    @model_validator(mode="after")
    def _critical_after_warning(self) -> Self:
        if self.critical_percent <= self.warning_percent:
            raise ValueError(
                "PANEL_CRITICAL_PERCENT: not above PANEL_WARNING_PERCENT. "
                "Expected: a percentage above the warning, up to 100"
            )
        return self


@cache
def panel_settings() -> PanelSettings:
    """Return the panel's settings, read once per process.

    Raises:
        SettingsError: a value is wrong.
    """
    return PanelSettings.load()
