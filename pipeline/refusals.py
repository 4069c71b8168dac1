"""What is said of a params.yaml that makes no sense: one line that names the key."""

import difflib
import re

from pydantic import ValidationError

from pipeline import Refusal
from pipeline.sections import Block
from pipeline.wording import shown, words


def dotted(key: str, name) -> str:
    """The full key of `name` in the block `key`, the whole file where that is empty."""
    plain = isinstance(name, str) and re.fullmatch(r"[\w-]+", name)
    return f"{key}{'.' if key else ''}{name if plain else shown(name)}"


def refuse(key: str, why: str):
    raise Refusal(f"params.yaml: {key}: {why}")


def instead(value, known) -> str:
    near = difflib.get_close_matches(str(value), known, 1)
    return f", did you mean {near[0]}?" if near else f"; there are: {', '.join(known) or 'none'}"


def mapping(key: str, value) -> None:
    if not isinstance(value, dict):
        empty = " (where there is nothing to say, write {})" if value is None else ""
        refuse(key, f"expected a mapping, found {shown(value)}{empty}")


def block(key: str, value, kind: type[Block]) -> None:
    mapping(key, value)
    for name in value:
        if name not in kind.model_fields:
            refuse(dotted(key, name), f"unknown key{instead(name, list(kind.model_fields))}")
    try:
        kind.model_validate(value)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        wanted = words(kind.model_json_schema()["properties"][name])
        why = f"expected {wanted}, found {shown(value[name])}" if name in value else f"missing, expected {wanted}"
        refuse(dotted(key, name), why)


def reference(key: str, value: str, known, place: str) -> None:
    if value not in known:
        refuse(key, f"there is no {shown(value)} in {place}{instead(value, list(known))}")
