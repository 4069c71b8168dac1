"""What came of claims: the numbers that decide them, and words for a difference beside its standard error."""

import numpy as np
from IPython.display import HTML

from pipeline.figures.words import percent, small

CLEAR = 1.96  # standard errors
KINDS = {"ae": "AE", "vae": "VAE"}
MORE = {1: "more of the VAE's", 0: "no clear difference", -1: "more of the AE's"}
TABLE = (
    "Claims as study notes have them, below each the number that decides it here. A difference is clear where it is more than "
    "1.96 standard errors."
)


def share(part: dict, name: str) -> str:
    return f"{percent(part[name])} ± {100 * part[f'{name}_se']:.1f}"


def signed(value: float, error: float, digits: int = 4) -> str:
    return f"{value:+.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def clear(difference: float, error: float) -> int:
    """1 or -1 where a difference is more than chance, else 0."""
    return int(np.sign(difference)) if abs(difference) > CLEAR * error else 0


def apart(one: dict, other: dict, name: str) -> int:
    """Of independent draws."""
    return clear(one[name] - other[name], np.hypot(one[f"{name}_se"], other[f"{name}_se"]))


def of(pair: dict, name: str) -> int:
    return clear(pair["difference"][name], pair["difference"][f"{name}_se"])


def claim(said: str, decided: str) -> HTML:
    return HTML(f"{said}<small>{decided}</small>")


def holds(kinds: list[str]) -> str:
    return {(): "for neither", ("ae",): "for the AE only", ("vae",): "for the VAE only"}.get(tuple(kinds), "for both")


def verdicts(found: dict) -> list[dict]:
    """A row per claim: the numbers that decide it, and how it comes out."""
    decoded, moved, normal = found["decoded"], found["moved"], found["normal"]
    most = list(found["noise"])[-1]
    rise = found["noise"][most]
    better = [apart(decoded["vae_standard"], decoded[key], "recognised") for key in ("ae_standard", "ae_mixture")]
    return [
        {
            "claim": claim("any z decodes to an image", "recognised, z ~ N(0, I)"),
            "came out": MORE[better[0]],
            "AE": share(decoded["ae_standard"], "recognised"),
            "VAE": share(decoded["vae_standard"], "recognised"),
        },
        {
            "claim": claim("and no AE can do that", "recognised, AE with a mixture"),
            "came out": MORE[better[1]],
            "AE": share(decoded["ae_mixture"], "recognised"),
            "VAE": share(decoded["vae_standard"], "recognised"),
        },
        {
            "claim": claim("a VAE minds noise less", f"rise of the MSE, noise {most}"),
            "came out": {-1: "less of a rise", 0: "no clear difference", 1: "more of a rise"}[of(rise, "rise")],
            "AE": f"{rise['ae']['rise']:.4f} ± {rise['ae']['rise_se']:.4f}",
            "VAE": f"{rise['vae']['rise']:.4f} ± {rise['vae']['rise_se']:.4f}",
        },
        {
            "claim": claim("and keeps the class", f"class kept, noise {most}"),
            "came out": {1: "kept more often", 0: "no clear difference", -1: "kept less often"}[of(rise, "same")],
            "AE": share(rise["ae"], "same"),
            "VAE": share(rise["vae"], "same"),
        },
        {
            "claim": claim("each number of a code is normal", "rejected at 5 %, Bonferroni"),
            "came out": holds([key for key in KINDS if not normal[key]["rejected"]]),
            "AE": f"{normal['ae']['rejected']} of {normal['ae']['dimensions']}",
            "VAE": f"{normal['vae']['rejected']} of {normal['vae']['dimensions']}",
        },
        {
            "claim": claim("and all of them together", "energy distance to N(0, I), rejected at 5 %"),
            "came out": holds([key for key in KINDS if normal[key]["energy_p"] >= 0.05]),
            "AE": f"{normal['ae']['energy']:.4f} (p {small(normal['ae']['energy_p'])})",
            "VAE": f"{normal['vae']['energy']:.4f} (p {small(normal['vae']['energy_p'])})",
        },
        {
            "claim": claim("its numbers can be turned one by one", "recognised, −2 to +2 sd"),
            "came out": MORE[of(moved, "recognised")],
            "AE": share(moved["ae"], "recognised"),
            "VAE": share(moved["vae"], "recognised"),
        },
    ]


def headline(chosen: dict, found: dict) -> list[str]:
    dimensions = " and ".join(str(found["normal"][kind]["dimensions"]) for kind in KINDS)
    return [
        f"What is said of VAEs against plain autoencoders, measured on **{chosen['ae']}** and **{chosen['vae']}**, with codes "
        f"of {dimensions} numbers, trained on {chosen['data']}. Their networks differ in {found['differs'] or 'nothing'}: "
        "whatever comes out may be due to that, too.",
        "An image is recognised where more than 80 % of the trees of a random forest, fitted on the training images, vote for "
        "the same class. ± is a standard error over draws or test images; that of another training is not in it.",
    ]
