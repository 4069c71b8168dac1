"""Numbers in words: what kind of number an NLL is, which way it errs, and how numbers are written."""

import pandas as pd

KINDS = ("exact", "estimate", "bound")


def nats(value: float) -> str:
    return f"{value:,.2f}".replace("-", "−")


def small(value: float) -> str:
    """An error of an error: two digits, wherever they stand."""
    return f"{value:.2g}"


def count(number: int) -> str:
    return f"{number:,}"


def big(number: int) -> str:
    """Three digits and the power of a thousand: 11.6 M."""
    value, unit = float(number), ""
    for unit in ("", " k", " M", " G", " T"):
        if value < 999.5 or unit == " T":
            break
        value /= 1000
    return f"{value:.3g}{unit}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def kind(evidence: dict) -> str:
    """exact, bound, estimate, or none."""
    if evidence["estimator"] == "none":
        return "none"
    if evidence["direction"] == "exact":
        return "exact"
    return "bound" if evidence["estimator"] == "bound" else "estimate"


def how(evidence: dict) -> str:
    """The estimator in words."""
    many = count(evidence["draws"]) if evidence.get("draws") else ""
    draws = f" with {many} draws per image" if many else ""
    maps = f"all {many} maps of codes" if many else "all codes"
    return {
        "exact": "one pass of the model, which gives log p(x) outright",
        "importance": "importance sampling" + draws,
        "annealed": "annealed importance sampling" + (f" with {many} chains per image" if many else ""),
        "quadrature": "numerical integration over the code" + (f" with {many} points in each dimension" if many else ""),
        "enumeration": f"a sum over {maps}",
        "bound": "a bound" + draws,
    }[evidence["estimator"]]


def errs(evidence: dict) -> str:
    """Which way the number is wrong, if it is wrong, for a reader who has not met the estimator."""
    sort, direction = kind(evidence), evidence["direction"]
    if sort == "exact":
        return "This number is exact; what is uncertain is only which images happened to be in the test set."
    if direction == "nll_too_high":
        if sort == "bound":
            return "This number is an upper bound: the model's true NLL lies at or below it."
        return (
            "This number is an estimate whose error has a direction: on average it comes out too high, so if anything the "
            "model is better than this."
        )
    if direction == "nll_too_low":
        return "This number errs on the flattering side: the model's true NLL is likely higher."
    return "This number is an estimate that may err on either side."


def headline(chosen: dict, title: str, evidence: dict) -> list[str]:
    """What the model is and what its number is, in two or three paragraphs. `title`: of the model, for people."""
    what = f"{title}, trained on {chosen['data']}."
    if kind(evidence) == "none":
        return [
            f"{what} {without(evidence)}",
            "It can be judged by what it makes of images and by what its codes are good for.",
        ]
    unit = "nats of a density" if evidence["measure"] == "density" else "nats"
    bits = f" ({evidence['bits_per_dim']:.3f} bits per dimension)" if "bits_per_dim" in evidence else ""
    first = (
        f"{what} Its negative log-likelihood (NLL) of a test image is **{nats(evidence['nll_nats'])} {unit}**{bits}, with a "
        f"95 % interval from {nats(evidence['nll_low'])} to {nats(evidence['nll_high'])}. Lower is better."
    )
    second = f"{errs(evidence)} It comes from {how(evidence)}, on {count(evidence['images'])} test images."
    third = f"The standard error over images is {nats(evidence['nll_se'])} nats"
    if evidence.get("nll_mc_se"):
        third += f", the estimator's own noise {small(evidence['nll_mc_se'])}"
    if evidence.get("nll_seed_sd"):
        third += f", and from one training seed to another it varies by {nats(evidence['nll_seed_sd'])}"
    return [first, f"{second} {third}.", *beside(evidence)]


def made(estimates: pd.DataFrame) -> str:
    """What stands below the table of estimates."""
    text = "Every estimate that was made; the headline is the one its settings name beforehand."
    if (estimates.estimator == "enumeration").any():
        text += " Draws of the enumeration: all maps of codes there are."
    if (estimates.estimator == "annealed").any():
        text += " Draws of the annealed one: its chains; it looks at the first images only."
    if (estimates.estimator == "quadrature").any():
        text += " Draws of the quadrature: points in each dimension of the code."
    if (estimates.scale.dropna() != 1).any():
        text += " Scale: the factor of the proposal's variance, or the temperature of codes, chosen on validation images."
    return text


def ladder(estimates: pd.DataFrame) -> str:
    """What kinds of numbers a model with maps of codes has, from the loosest to the exact one, and how far apart they are."""
    by = estimates.groupby("estimator").nll_nats.mean()
    draws = estimates.drop_duplicates("estimator").set_index("estimator").draws
    told = []
    for name, what in (
        ("bound", "The bound log p(x | z_q) + log p(z_q) counts the one map of codes that the encoder gives an image"),
        ("importance", "importance sampling draws {} maps from a stochastic quantiser"),
        ("enumeration", "the sum over all {} maps is p(x) itself, exact"),
    ):
        if name in by:
            told.append((what.format(count(int(draws[name]))), by[name]))
    text, above = "", None
    for what, value in told:
        text += ("; " if text else "") + f"{what}: **{nats(value)} nats**"
        if above is not None:
            text += f", {nats(abs(above - value))} {'lower' if value <= above else 'higher'}"
        above = value
    if "enumeration" not in by:
        text += ". The maps are too many to be summed, so how much of p(x) is still missing is not known"
    return text + "."


def without(evidence: dict) -> str:
    """Why there is no number."""
    if evidence["likelihood"] == "none":
        return (
            "**It has no likelihood**: it defines no probability of an image, so there is no number that could stand beside "
            "those of the other models."
        )
    return "**Its likelihood was not estimated**: its evidence settings ask for none."


def beside(evidence: dict) -> list[str]:
    """The number beside baselines and floor."""
    baselines = (("independent_nats", "independent pixels"), ("chain_nats", "a chain of regressions"))
    sayings = []
    for key, name in baselines:
        if evidence.get(key) is not None:
            gain = evidence[key] - evidence["nll_nats"]
            sayings.append(f"{nats(abs(gain))} nats {'better' if gain > 0 else 'worse'} than {name}")
    said = [f"That is {' and '.join(sayings)}."] if sayings else []
    if evidence.get("floor_nats") is not None:
        said.append(
            f"Under the distribution they were drawn from, the test images cost {nats(evidence['floor_nats'])} nats, and on "
            f"average no model does better: this one pays {nats(evidence['regret_nats'])} ± {nats(evidence['regret_se'])} more."
        )
    if evidence.get("given_class_nats") is not None:
        gain = evidence["nll_nats"] - evidence["given_class_nats"]
        said.append(
            "The number is p(x), a mean over the classes by their shares. Told the class of an image, the model needs "
            f"{nats(evidence['given_class_nats'])} nats, {nats(abs(gain))} {'fewer' if gain >= 0 else 'more'}."
        )
    return [" ".join(said)] if said else []
