"""Keyword-only arguments as a schema: their annotations are types and ranges, their docstrings the meanings."""

import inspect
import re
from functools import cache
from types import FunctionType
from typing import get_type_hints

from pydantic import Field, create_model

from pipeline import Refusal
from pipeline.sections import Block


def constructors(kind: type) -> list[FunctionType]:
    """Of a class, and of those above it as long as each passes on what it does not name, as `**others`."""
    found = []
    for each in kind.__mro__:
        if "__init__" in vars(each):
            found.append(each.__init__)
            if not any(argument.kind is argument.VAR_KEYWORD for argument in inspect.signature(found[-1]).parameters.values()):
                break
    return found


@cache
def arguments(*functions: FunctionType, docs: tuple = (), base: type[Block] = Block, but: tuple = ()) -> type[Block]:
    """The keyword-only arguments of functions; lines `name: meaning` of the first's docstring, or of `docs`, explain them."""
    meanings, fields = {}, {}
    for doc in docs or (functions[0].__doc__,):
        found = re.findall(r"^(\w+): (.+(?:\n +.+)*)", inspect.cleandoc(doc or ""), re.MULTILINE)
        meanings = {name: " ".join(words.split()) for name, words in found} | meanings
    for function in functions:
        hints = get_type_hints(function, include_extras=True)
        for name, argument in inspect.signature(function).parameters.items():
            if argument.kind is argument.KEYWORD_ONLY and name not in (*but, *fields):
                if name not in hints:
                    raise Refusal(f"{function.__module__}.{function.__qualname__}: the argument {name} has no type")
                default = ... if argument.default is argument.empty else argument.default
                fields[name] = (hints[name], Field(default, description=meanings.get(name)))
    return create_model(functions[0].__qualname__, __base__=base, **fields)
