"""Pydantic models of YAML files whose every defect is told as a line, a place and what was expected there."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from integrations.files.yaml_file import Location, YamlDocument

_EXPLAINED = "explained"
_VALUE_ERROR = "Value error, "

Model = TypeVar("Model", bound=BaseModel)


class Entry(BaseModel):
    """A mapping of a file. Each field's description says what is expected, and is what an operator reads."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            explained = [_explained(cls, detail) for detail in details]
            raise ValidationError.from_exception_data(cls.__name__, explained) from None


def _explained(model: type[BaseModel], detail: ErrorDetails) -> InitErrorDetails:
    text = detail["msg"] if detail["type"] == _EXPLAINED else _sentence(model, detail)
    kind = PydanticCustomError(_EXPLAINED, "{text}", {"text": text})
    return InitErrorDetails(type=kind, loc=detail["loc"], input=None)


def _sentence(model: type[BaseModel], detail: ErrorDetails) -> str:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    names = ", ".join(fields)
    if not detail["loc"]:
        return detail["msg"].removeprefix(_VALUE_ERROR) if "value" in detail["type"] else f"expected {names}"
    step = detail["loc"][0]
    if detail["type"] == "extra_forbidden":
        return f"unknown key: expected one of {names}{did_you_mean(str(step), fields)}"
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix(_VALUE_ERROR)
    field = fields.get(str(step))
    expected = (field.description if field else None) or "another value"
    return f"missing: expected {expected}" if detail["type"] == "missing" else f"expected {expected}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as an end of a sentence; empty where none is near."""
    meant = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {meant[0]}?)" if meant else ""


def defects_of(error: ValidationError, document: YamlDocument) -> list[tuple[int, str]]:
    """The line and the sentence of each defect: `accounts[1].key: expected …`; in the order of the file."""
    defects = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        location, line = document.locate(detail["loc"])
        missing = detail["loc"][len(location) :] if detail["msg"].startswith("missing") else ()
        place = written((*location, *missing))
        told = detail["msg"].removeprefix(_VALUE_ERROR)  # of the outermost entry's own check
        defects.append((line, f"{place}: {told}" if place else told))
    return sorted(defects)


def written(location: Location) -> str:
    """A location as an operator reads it: `accounts[1].key`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def schema_of(model: type[BaseModel]) -> Mapping[str, Any]:
    """The JSON Schema of a file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
