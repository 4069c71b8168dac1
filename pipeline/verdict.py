"""What is claimed of the estimators, held against what calibration found. Nothing else decides whether a claim holds."""

Z = 4  # standard errors by which an unbiased quantity may be off, or a bound lie on the wrong side
CLAIMED = {"importance": 0.05, "annealed": 0.1}  # nats that the stated error of a mean may have at most
WITHIN = {  # nats between the mean and the truth
    ("line", "importance"): 0.15,
    ("line", "annealed"): 0.2,
    ("plane", "importance"): 0.02,
    ("plane", "annealed"): 0.05,
}
GAP, INSIDE = 0.5, 0.95  # nats between annealing's two bounds; the share of images whose truth lies between them
ROUNDING = 1e-3  # nats, of two sums in float32
NARROW = (-1.5, -0.5)  # nats by which the best proposal for the ELBO misses the truth: the known failure, shown on purpose
HEADS = (-9.2103, 0.05)  # ln 0.01^2, and how far from it an encoder's log-variance may end
SUM = 1e-4  # by which all probabilities together may miss 1


def claims(found: dict) -> list[dict]:
    """A row for each: what is claimed of which case, what was found, where the limit is, and whether it holds."""
    rows = []

    def claim(case: str, words: str, value: float, limit: str, holds: bool) -> None:
        rows.append({"case": case, "claim": words, "found": value, "limit": limit, "holds": bool(holds)})

    for case in ("line", "plane", "codes"):
        for name in ("importance", "annealed", "forward", "reverse"):
            if name not in found[case]:
                continue
            row = found[case][name]
            claim(case, f"{name}: unbiased, standard errors off", row["z"], f"within {Z}", abs(row["z"]) <= Z)
            wrong = row["bias_nats"] / row["bias_se"] * (1 if row["side"] == "below" else -1)
            claim(case, f"{name}: a bound from {row['side']}, standard errors beyond the truth", wrong, f"<= {Z}", wrong <= Z)
            if most := CLAIMED.get(name):
                claim(case, f"{name}: stated error, nats", row["claimed_se"], f"<= {most}", row["claimed_se"] <= most)
            if limit := WITHIN.get((case, name)):
                claim(case, f"{name}: off the truth, nats", row["bias_nats"], f"within {limit}", abs(row["bias_nats"]) <= limit)
        if gap := found[case].get("gap"):
            claim(case, "annealing: gap between its bounds, nats", gap["nats"], f"within {GAP}", abs(gap["nats"]) < GAP)
            claim(case, "annealing: share of truths between its bounds", gap["inside"], f">= {INSIDE}", gap["inside"] >= INSIDE)
    above = found["codes"]["bound"]["highest_nats"]
    claim("codes", "bound of one code map: above the truth at most, nats", above, f"<= {ROUNDING}", above <= ROUNDING)
    total = found["pixels"]["total"]
    claim("pixels", "probabilities of all images together", total, f"within {SUM:g} of 1", abs(total - 1) <= SUM)
    for start, end in found["heads"].items():
        words = f"log-variance, begun at {'0' if start == 'zero' else 'N(0, 1)'}, ends at"
        value, (wished, most) = end["log_var_mean"], HEADS
        claim("heads", words, value, f"within {most} of {wished}", abs(value - wished) <= most and end["log_var_sd"] <= most)
    off = found["narrow"]["bias_nats"]
    low, high = NARROW
    claim("line", "the proposal that was trained: off by about a nat", off, f"{low} to {high}", low <= off <= high)
    for name, wished in (("narrow", True), ("chosen", False)):
        flagged = "likelier" in found[name]["flags"]
        words = "a proposal that is too narrow is flagged" if wished else "the chosen proposal is not flagged"
        claim("line", words, found[name]["annealed_gain_nats"], "yes" if wished else "no", flagged == wished)
    return rows


def broken(found: dict) -> list[dict]:
    return [row for row in claims(found) if not row["holds"]]
