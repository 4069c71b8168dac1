"""Types and values of params.yaml in words, for people who have mistyped one."""

NOUNS = {"string": "text", "boolean": "true or false", "null": "null", "object": "a mapping"}
NUMBERS = {"integer": "whole number", "number": "number"}
LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "and below"}


def words(kind: dict, many: bool = False) -> str:
    """The JSON schema of a value in words. `many`: of several such values."""
    if "anyOf" in kind:
        return " or ".join(words(each) for each in kind["anyOf"])
    if "enum" in kind:
        *others, last = map(str, kind["enum"])
        return f"{', '.join(others)} or {last}"
    if "const" in kind:
        return str(kind["const"])
    if kind["type"] == "array":
        least = kind.get("minItems", 0)
        size = "" if not least else f"{least} " if least == kind.get("maxItems") else f"{least} or more "
        return f"a list of {size}{words(kind['items'], many=True)}"
    if kind["type"] in NOUNS:
        return NOUNS[kind["type"]]
    number = f"{NUMBERS[kind['type']]}s" if many else f"a {NUMBERS[kind['type']]}"
    return " ".join([number, *(f"{word} {kind[key]:,}" for key, word in LIMITS.items() if key in kind)])


def shown(value) -> str:
    """As it might stand in params.yaml, on one line."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) < 80 else f"{text[:76]} ..."
