"""What estimating, calibrating and comparing likelihoods leaves, as in outputs.py."""

SEED = {"seed": ("", "the training that the row is about, one of the run's `seeds`")}
NLL = {
    "nll_nats": (
        "nats",
        "negative log-probability of a test image, the mean over images; of a density where `measure` says so",
    ),
    "nll_se": ("nats", "its standard error over images"),
}
NOISE = {
    "nll_mc_se": (
        "nats",
        "its standard error over the estimator's own noise, of quadrature the difference that every other point makes; empty "
        "where that is not known",
    )
}
KIND = {
    "estimator": (
        "",
        "`exact` (`exact, given class`: of p(x | y)), `enumeration` (a sum over all maps of codes), `quadrature` (an integral "
        "over one or two dimensions), `importance`, `annealed` (annealed importance sampling, of the first test images only), "
        "`bound` (the ELBO; of codes log p(x | z) + log p(z) at the map z of the encoder), or `none` where there is no number",
    ),
    "direction": ("", "`exact`; `nll_too_high`: on average above the model's true NLL; `none`"),
    "measure": ("", "`mass`: probability of an image with levels; `density`: of real values; the two cannot be compared"),
    "draws": (
        "",
        "draws per image that it took; 1 where it is exact; of an enumeration the number of code maps, of quadrature points "
        "per dimension, of annealing chains",
    ),
    "images": ("", "test images"),
}
INTERVAL = {"nll_low": ("nats", "lower end of the 95 % bootstrap interval over images"), "nll_high": ("nats", "its upper end")}
BASELINES = {
    "independent_nats": ("nats", "negative log-probability under independent pixels"),
    "chain_nats": ("nats", "under a logistic regression of each pixel on those before it; null where it would take too long"),
}
SCALE = ("", "factor of the proposal's variance, of codes its temperature, chosen on validation images")
EVIDENCE = {
    "artifacts/likelihood/<run>.csv": (
        "A row per test image, so that runs can be compared image by image; none without a density.",
        {
            **SEED,
            "image": ("", "index in the test split, from 0"),
            "log_prob_nats": ("nats", "its log-probability, by the estimator of evidence.json"),
            "elbo_nats": ("nats", "its evidence lower bound, the mean over draws; of codes at the map of the encoder"),
            "ess": ("draws", "effective sample size (sum w)^2 / sum w^2 of the importance weights"),
            "max_weight": ("", "share of the largest weight in their sum, 0 to 1"),
            "pareto_k": (
                "",
                "shape of the tail of the weights; above 0.7 importance sampling cannot be relied on; empty without a tail",
            ),
            "annealed_nats": ("nats", "its log-probability by annealing; empty but for the first images"),
            "amortisation_nats": (
                "nats",
                "what the encoder loses there against the best posterior for this image",
            ),
        },
    ),
    "results/<run>/evidence.json": (
        "How likely the test images are, over all seeds; without a density, that there is none. `_se` is a standard error.",
        {
            "data": ("", "the data set"),
            "distribution": (
                "",
                "what it says of p(x): `explicit, exact`, `explicit, approximate`, `implicit` (it only draws), or `none`",
            ),
            "likelihood": ("", "what p(x | z) is; `none` without a density"),
            **KIND,
            "flags": ("", "what is wrong with the number or the model, in words; empty where nothing is"),
            **NLL,
            **NOISE,
            **INTERVAL,
            "nll_seed_sd": ("nats", "its standard deviation over seeds, with several"),
            "given_class_nats": ("nats", "negative log p(x | y), where a model can be told the class; the headline is p(x)"),
            "bits_per_dim": ("bits", "nll_nats per pixel and channel, of a `mass` only"),
            "elbo_nats": ("nats", "evidence lower bound of log p(x), the mean over images"),
            "ess_median": ("draws", "effective sample size of the importance weights, the median over images"),
            "ess_min": ("draws", "the least one"),
            "heavy_tailed": ("share", "of images whose `pareto_k` is above 0.7"),
            "k_slope_nats": ("nats", "by which the importance bound still falls at the end, per ten times as many draws"),
            "bdmc_gap_nats": (
                "nats",
                "between annealing's upper and lower bound of log p(x), on images that the model made: how far to trust it",
            ),
            "bdmc_gap_se": ("nats", "over these images"),
            "annealed_gain_nats": (
                "nats",
                "by which annealing finds test images likelier than nll_nats says; well above 0, nll_nats is too high",
            ),
            "annealed_gain_se": ("nats", "over the noise of both estimators"),
            "gap_nats": ("nats", "log p(x) - elbo_nats of the annealed images, by the higher of the two estimates: the sum of"),
            "approximation_nats": ("nats", "what the best posterior of the same family for each image would lack still, and"),
            "approximation_se": ("nats", "its standard error over images"),
            "amortisation_nats": ("nats", "what the encoder loses against that best posterior"),
            "amortisation_se": ("nats", "its standard error over images"),
            **BASELINES,
            "floor_nats": ("nats", "negative log-probability under the data's own distribution, where that is known"),
            "regret_nats": ("nats", "nll_nats - floor_nats, image by image: what the model loses"),
            "regret_se": ("nats", "over images"),
            "gates": ("", "how many rows gates.csv has, where it has any"),
            "gates_passed": ("", "how many of them are passed"),
        },
    ),
    "results/<run>/gates.csv": (
        "What a trained model has to show beyond a likelihood, by its own file; none where the file asks for nothing.",
        {
            **SEED,
            "gate": ("", "what is looked at, in words"),
            "value": ("as the gate says", "what was found"),
            "sign": ("", "`<=` or `>=`: how the value has to stand to"),
            "threshold": ("as the gate says", "the line"),
            "passed": ("", "True or False"),
        },
    ),
    "results/<run>/estimates.csv": (
        "A row per seed and estimator; none without a density.",
        {**SEED, **KIND, "scale": SCALE, **NLL, **NOISE},
    ),
    "results/<run>/k_curve.csv": (
        "The importance bound by draws: the more, the tighter.",
        {**SEED, "k": ("", "draws in a bound"), "groups": ("", "disjoint groups of k draws"), **NLL},
    ),
    "results/<run>/sweep.csv": (
        "The importance bound on validation images by the width of the proposal: the lowest row is chosen for test images.",
        {
            **SEED,
            "scale": ("", "factor of the proposal's variance, of codes its temperature"),
            "draws": ("", "per image"),
            "images": ("", "validation images"),
            "nll_nats": ("nats", "the bound, as a negative log-probability, the mean over these images"),
            "nll_se": NLL["nll_se"],
        },
    ),
    "results/<run>/annealing.csv": (
        "How the chains of annealing went on test images, a row for each of 100 temperatures at most; none without annealing.",
        {
            **SEED,
            "temperature": ("", "from the posterior, 0, to the joint density, 1"),
            "step": ("widths of the posterior", "size of a step, which a pilot on validation images chose"),
            "accepted": ("share", "of moves, over images and chains"),
        },
    ),
}
CALIBRATION = {
    "artifacts/calibration.npz": (
        "Arrays for the page of the calibration, by case: `line`, `plane` or `codes`, as in pipeline/calibration.py.",
        {
            "<case>_truth": ("nats", "[N] log p(x) of each image: in closed form, by quadrature, by a sum over all code maps"),
            "<case>_importance": ("nats", "[N] by importance sampling, with the width that validation images chose"),
            "<case>_annealed": ("nats", "[N] by annealing"),
            "<case>_k_<scale>": ("draws", "[K] in a bound, of the proposal with that width"),
            "<case>_curve_<scale>": ("nats", "[K, N] the bound of log p(x) by so many draws"),
            "<case>_temperatures": ("", "[T] of annealing, above 0 up to 1"),
            "<case>_accepted": ("share", "[T] of moves, over images and chains"),
            "<case>_simulated_<what>": (
                "nats; share",
                "the same of images that the model made: `truth`, annealing's lower bound `forward` and upper bound `reverse`, "
                "`accepted`",
            ),
            "heads_<start>_step": ("", "steps of an encoder that the KL term alone trains"),
            "heads_<start>_mu_<moment>": ("units of z", "`mean` and `sd` over images and units of the mean's head"),
            "heads_<start>_log_var_<moment>": ("log of squared units of z", "and of that of the log-variance"),
        },
    ),
    "results/calibration.json": (
        "What the estimators found where the truth is known; only `verdict` judges it. By case and estimator: the `side` of "
        "the truth on which it should lie, the number of `images`, `bias_nats`, log p(x) as estimated less the truth, and "
        "`bias_se`, its standard error over images; `claimed_se`, what the estimator says its own noise is, in nats; `ratio`, "
        "estimated to true p(x) (of `above` the inverse), 1 on average where it is unbiased, `ratio_se`, and `z`, standard "
        "errors from 1.",
        {
            "line": (
                "",
                "a VAE with one linear layer: `importance` with the `scale` chosen (`importance, x<scale>` with each), "
                "`ess_median` and `heavy_tailed` as in evidence.json; `annealed`; of images that the model made `forward` and "
                "`reverse`, and their `gap`: `nats`, `se` and the share of truths `inside` (`inside_stated`: with the "
                "errors that few chains state)",
            ),
            "plane": ("", "the same of a VAE with two latent dimensions"),
            "codes": (
                "",
                "`importance` of a VQ-VAE, and the `bound` of one code map, of one image at most `highest_nats` above",
            ),
            "pixels": ("", "a PixelCNN of small images: the `total` of the probabilities of all `images` there are"),
            "narrow": (
                "",
                "what evidence.json would say of `line` with a proposal that is too narrow, scale 1: it must be flagged",
            ),
            "chosen": ("", "what it would say with the proposal that validation images choose"),
            "heads": ("units of z", "where the KL to N(0, 0.01^2) alone leaves the heads of an encoder, begun at 0 or N(0, 1)"),
        },
    ),
    "artifacts/verdict": (
        "Every claim about the estimators, what was found, and its limit: there only if all of them hold.",
        {},
    ),
}
PAIRED = {
    "reports/gates.csv": (
        "What runs have to gain over others, as params.yaml says: a row for each number in which one `beats` another.",
        {
            "gate": ("", "the gain that is looked for, in words"),
            "run": ("", "the name of one"),
            "other": ("", "of the other, which it is to be better than"),
            "number": ("", "`nll`, `elbo` or `amortisation`"),
            "wanted": ("", "`better` or `not worse`"),
            "gain_nats": ("nats", "by which it is better in the one, the mean over the same images"),
            "se": ("nats", "its standard error over images and training seeds"),
            "low": ("nats", "lower end of its 95 % interval"),
            "high": ("nats", "its upper end"),
            "images": ("", "test images that both have scored"),
            "passed": ("", "True or False: better, if `low` is above 0; not worse, if `high` is not below"),
        },
    ),
    "reports/plots/paired.csv": (
        "For `dvc plots`: each two runs of one data set whose numbers may be compared, image by image.",
        {
            "data": ("", "their data set"),
            "run": ("", "the name of one"),
            "other": ("", "of the other"),
            "pair": ("", "both, in words"),
            "difference_nats": ("nats", "NLL of the one less that of the other, the mean over the same images"),
            "se": ("nats", "its standard error over images"),
            "low": ("nats", "lower end of its 95 % interval over images"),
            "high": ("nats", "its upper end"),
            "images": ("", "test images that both have scored"),
        },
    ),
}
