"""How likely are held-out images? Estimators over the protocol of base.py; no model is known here by name."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt, MinLen

Draws = Annotated[int, Ge(10), Le(10_000_000)]


def settings(
    *,
    draws: Draws | None = None,
    scales: Annotated[list[Annotated[float, Ge(1e-3), Le(1e3)]], MinLen(1)] | None = None,
    defensive: Annotated[float, Ge(0), Lt(1)] = 0.0,
    integral: Literal["enumeration", "quadrature", "gaussian"] | None = None,
    annealed: Annotated[int, Ge(2), Le(10_000_000)] | None = None,
    temperatures: Annotated[int, Ge(2), Le(1_000_000)] = 300,
    chains: Annotated[int, Ge(2), Le(1000)] = 16,
    start: Literal["posterior", "prior"] = "posterior",
) -> dict:
    """What an evidence block may say; `{}` is for models that have no density, or say log p(x) outright.

    The first that applies is the headline: exact, an integral if asked for, importance sampling, annealing.

    draws: of importance sampling, per image; null: no such estimate
    scales: factors of the proposal's variance, or temperatures of a discrete one; that with the best bound on validation
        images is used; null: 1
    defensive: the share of draws that come from the prior instead of the posterior
    integral: p(x) as an integral over z: enumeration of all code maps, quadrature over one or two dimensions, or gaussian, in
        closed form where log p(x, z) is quadratic in z; null: none
    annealed: test images on which annealing looks independently, and images made by the model on which it is bounded from both
        sides; null: none
    temperatures: between the start and the joint density, of a chain
    chains: for each image
    start: of the chains: posterior, or prior, for a posterior that cannot be trusted, or cannot score what it did not draw
    """
    return {
        "draws": draws,
        "scales": scales or [1.0],
        "defensive": defensive,
        "integral": integral,
        "annealed": annealed,
        "temperatures": temperatures,
        "chains": chains,
        "start": start,
    }


def misfit(kind: type, wished: dict) -> str | None:
    """Why such settings cannot be meant for a model of this class; None where they can."""
    from pipeline.base import Discrete, Latent

    if not issubclass(kind, Latent):
        return None  # nothing is estimated: the number is exact, or there is none
    integral, discrete = wished["integral"], issubclass(kind, Discrete)
    if integral and (integral == "enumeration") != discrete:
        return f"integral: {integral} is for {'z of real numbers' if discrete else 'discrete codes'}"
    if kind.dequantises:
        for name in ("integral", "annealed"):
            if wished[name]:
                return f"{name}: z of this model holds the levels of its image, so that no other z belongs to it"
    if kind.log_q is Latent.log_q:
        for name in ("annealed", "defensive"):
            if wished[name] and not (name == "annealed" and wished["start"] == "prior"):
                return f"{name}: the posterior of this model cannot score a z that it did not draw itself"
    return None
