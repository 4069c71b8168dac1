"""How likely are held-out images? Estimators over the protocol of base.py; no model is known here by name."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen

Draws = Annotated[int, Ge(10), Le(10_000_000)]


def settings(
    *,
    draws: Draws | None = None,
    scales: Annotated[list[Annotated[float, Gt(0)]], MinLen(1)] | None = None,
    enumeration: bool = False,
) -> dict:
    """What an evidence block may say; `{}` is for models that have no density, or say log p(x) outright.

    The first that applies is the headline: exact, a sum over all codes if asked for, importance sampling.

    draws: of importance sampling, per image; null: no such estimate
    scales: factors of the proposal's variance, or temperatures of a discrete one; that with the best bound on validation
        images is used; null: 1
    enumeration: whether to sum over all code maps of a model with discrete codes
    """
    return {"draws": draws, "scales": scales or [1.0], "enumeration": enumeration}
