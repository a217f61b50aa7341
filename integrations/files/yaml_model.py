"""Pydantic models of YAML files. Each defect of a file is a line, a place and what was expected there."""

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from integrations.files import yaml_file
from integrations.files.yaml_file import Location, YamlDocument, YamlFileError
from integrations.quota.errors import SettingsError

_EXPLAINED = "explained"
_VALUE_ERROR = "Value error, "

Model = TypeVar("Model", bound=BaseModel)


class StrictModel(BaseModel):
    """A mapping of a file. A field's description says what is expected there, for the operator who reads a defect."""

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
    """Return the known name that was probably meant, as the end of a sentence; empty if none is near."""
    meant = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {meant[0]}?)" if meant else ""


class DefectsError(SettingsError):
    """A file has defects. The text is one line for each: `FILE:LINE: place: expected …`."""

    @classmethod
    def at(cls, path: Path, defects: Iterable[tuple[int, str]]) -> Self:
        """Return the error for these lines and sentences of a file."""
        return cls("\n".join(f"{path}:{line}: {text}" for line, text in sorted(defects)))


def read(
    path: Path, model: type[Model], *, check: Callable[[os.stat_result], None] | None = None
) -> tuple[Model, YamlDocument]:
    """Return the content of a file, and its lines for later checks.

    Args:
        path: of the file.
        model: of its content.
        check: receives the status of the opened file before it is read, and may raise.

    Raises:
        FileNotFoundError: there is none.
        DefectsError: the file has defects.
    """
    try:
        document = yaml_file.load(yaml_file.read_text(path, check=check))
    except YamlFileError as error:
        raise DefectsError.at(path, [(error.line or 1, error.problem)]) from None
    try:
        return model.model_validate(document.value), document
    except ValidationError as error:
        raise DefectsError.at(path, error_lines(error, document)) from None


def error_lines(error: ValidationError, document: YamlDocument) -> list[tuple[int, str]]:
    """Return the line and the sentence of each defect, `accounts[1].key: expected …`, in the order of the file."""
    defects = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        location, line = document.locate(detail["loc"])
        missing = detail["loc"][len(location) :] if detail["msg"].startswith("missing") else ()
        place = format_location((*location, *missing))
        sentence = detail["msg"].removeprefix(_VALUE_ERROR)  # of the outermost mapping's own check
        defects.append((line, f"{place}: {sentence}" if place else sentence))
    return sorted(defects)


def format_location(location: Location) -> str:
    """Return a location as an operator reads it: `accounts[1].key`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def schema_of(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return the JSON Schema of a file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
