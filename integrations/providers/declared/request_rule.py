"""The request of a service's definition: address, constants, and the places of the keys."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from integrations.files.yaml_model import StrictModel
from integrations.providers.declared.fields import (
    BasicUser,
    Duration,
    HeaderName,
    HeaderTemplate,
    JsonTemplate,
    Template,
    Url,
)
from integrations.providers.declared.templates import KEY_AS_USER, names_in, names_in_json


def _list_of_one(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class Placement(StrictModel):
    """The place of a secret in the request."""

    header: HeaderName | None = Field(default=None, description="the name of a header")
    prefix: Annotated[str, Field(pattern=r"^[ -~]{0,50}$")] = Field(
        default="", description='a text before the key, such as "Bearer "'
    )
    query: HeaderName | None = Field(default=None, description="the name of a query parameter")
    basic: BasicUser | None = Field(
        default=None, description='the user name, such as "{account_sid}", or "{key}" for the key itself'
    )
    secret: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,60}$")] = Field(
        default="API_KEY", description="the end of the variable's name, such as API_SECRET"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.header, self.query, self.basic)) != 1:
            raise ValueError("expected exactly one of header, query, basic")
        if self.prefix and self.header is None:
            raise ValueError("expected prefix together with header only")
        return self


class RequestRule(StrictModel):
    """The request that is sent to the service."""

    url: Url = Field(description="an address that begins with https://")
    values: dict[str, Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default={}, description="texts for placeholders that an account may leave out"
    )
    method: Literal["GET", "POST"] = Field(default="GET", description="GET or POST")
    query: dict[Annotated[str, Field(min_length=1)], Template] = Field(
        default={}, description="names and texts; put numbers in quotes"
    )
    headers: dict[HeaderName, HeaderTemplate] = Field(default={}, description="names and texts in ASCII")
    body: JsonTemplate | None = Field(
        default=None, alias="json", description="a mapping, together with method: POST"
    )
    key: Annotated[
        list[Placement], BeforeValidator(_list_of_one, json_schema_input_type=Placement | list[Placement])
    ] = Field(default=[], description="{header: NAME}, {query: NAME}, {basic: USER} or a list of these")
    every: Duration | None = Field(default=None, description="a time such as 1h, 10m or 30s")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.body is not None and self.method != "POST":
            raise ValueError("expected method: POST together with json")
        if len({placement.secret for placement in self.key}) < len(self.key):
            raise ValueError("expected a secret: of its own for each key, such as API_SECRET")
        if not self.values.keys() <= self.placeholders:
            raise ValueError("expected values for placeholders of the request alone")
        return self

    @property
    def placeholders(self) -> set[str]:
        """The names that an account must state under `values`."""
        users = [placement.basic or "" for placement in self.key if placement.basic != KEY_AS_USER]
        templates = [self.url, *self.query.values(), *self.headers.values(), *users]
        return set().union(*map(names_in, templates), names_in_json(self.body))
