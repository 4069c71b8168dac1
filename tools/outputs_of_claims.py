"""What measuring claims leaves, as in outputs.py."""

CLAIMS = {
    "artifacts/claims/<claims>.npz": (
        "Arrays for the page of claims, float32; images on the unit scale x / (levels - 1).",
        {
            "decoded_<source>": ("unit scale", "real images (`test`) and images of independent `pixels`, the first ones"),
            "decoded_<model>_<source>": (
                "unit scale",
                "decoded from z ~ N(0, I) (`standard`), or the `normal` or `mixture` fitted to training codes",
            ),
            "noisy": ("unit scale", "[noises, N, H, W, C]: the first test images as they go in"),
            "<model>_noisy": ("unit scale", "and what comes out"),
            "<model>_z": ("units of z", "[N, d]: of each test image a draw from q(z | x), or its code, standardised"),
            "<model>_ways": ("unit scale", "[d, steps, H, W, C]: the first test image, one number of its code moved"),
        },
    ),
    "results/claims-<claims>.json": (
        "What is said of VAEs against AEs, measured; `_se` is a standard error over draws or test images. `difference` is "
        "the VAE's less the AE's on the same images.",
        {
            "differs": ("", "settings of the two networks that are not the same"),
            "decoded": (
                "share",
                "by source of images: `recognised`, those for one class of which more than 80 % of the trees of a random "
                "forest vote, and `confidence`, the mean share of votes for the class that gets most",
            ),
            "noise": (
                "unit scale, squared; share",
                "by standard deviation of noise on the input: `mse` of the reconstruction to the clean image, its `rise` above "
                "that without noise, and how often the reconstruction keeps the `same` class",
            ),
            "normal": (
                "",
                "codes of test images against N(0, I): Kolmogorov-Smirnov distance by dimension, median and max, how many "
                "dimensions are `rejected` at 5 % (Bonferroni); `energy` distance jointly, what 95 % of as many true draws "
                "stay below (`energy_null`) and its p-value (`energy_p`)",
            ),
            "moved": (
                "share; unit scale",
                "one number of a code led from -2 to 2 standard deviations: share `recognised`, share of ways along which the "
                "class `changes`, how far a pixel is `moved` from end to end",
            ),
        },
    ),
}
