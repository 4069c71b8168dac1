"""How likely are held-out images? Estimators over the protocol of base.py; no model is known here by name."""

from typing import Annotated

from annotated_types import Ge, Le


def settings(*, draws: Annotated[int, Ge(10), Le(10_000_000)] | None = None) -> dict:
    """What an evidence block may say; `{}` is for models that have no density, or say log p(x) outright.

    draws: of importance sampling, per image; null: no such estimate
    """
    return {"draws": draws}
