"""What the files that stages write hold: the columns and keys, their units and meanings. docs/files.md is made from it."""

SEED = {"seed": ("", "the training that the row is about, one of the run's `seeds`")}
NLL = {
    "nll_nats": (
        "nats",
        "negative log-probability of a test image, the mean over images; of a density where `measure` says so",
    ),
    "nll_se": ("nats", "its standard error over images"),
}
NOISE = {"nll_mc_se": ("nats", "its standard error over the estimator's own noise; empty where that is not known")}
KIND = {
    "estimator": ("", "`exact`, `importance`, `bound` (the ELBO), or `none` where there is no number"),
    "direction": ("", "`exact`; `nll_too_high`: on average above the model's true NLL; `none`"),
    "measure": ("", "`mass`: probability of an image with levels; `density`: of real values; the two cannot be compared"),
    "draws": ("", "draws per image that it took; 1 where it is exact"),
    "images": ("", "test images"),
}
INTERVAL = {"nll_low": ("nats", "lower end of the 95 % bootstrap interval over images"), "nll_high": ("nats", "its upper end")}
LOSS = {
    "loss": (
        "nats; squared error where there is no density",
        "what training minimised (its rate weighted by beta), the mean over images",
    ),
    "distortion": ("as the loss", "the part of it that reconstruction costs"),
    "rate": ("nats", "the part of it that the code costs, KL(q(z | x) || p(z))"),
}
BASELINES = {
    "independent_nats": ("nats", "negative log-probability under independent pixels"),
    "chain_nats": ("nats", "under a logistic regression of each pixel on those before it; null where it would take too long"),
}
FILES = {  # what stages write: what it is, and for each column or key its unit and meaning; <...> stands for anything
    "artifacts/checked": ("Says that params.yaml makes sense. Always the same, so nothing reruns for it.", {}),
    "data/<data>/<split>_<part>.npy": (
        "The arrays of one split (train, valid, test), as far as they are known.",
        {
            "x": (
                "levels, or real",
                "the images [N, H, W, C], uint8 0..levels-1 or float32; intensities where `redraw` is set",
            ),
            "y": ("", "their classes [N], from 0"),
            "factors": ("", "what they were made from [N, F]"),
            "log_prob": ("nats", "their exact log-probability [N], negative"),
        },
    ),
    "data/<data>/meta.json": (
        "What the arrays are.",
        {
            "shape": ("pixels", "rows, columns, channels"),
            "levels": ("", "values per channel, null for real values"),
            "classes": ("", "number of classes, null where there are no labels"),
            "counts": ("images", "in each split"),
            "binarised": ("", "how the images were made binary, in words"),
            "redraw": ("", "r where training images are intensities 0..r, drawn anew in every epoch; else null"),
            "factors": ("", "names of the columns of `factors`"),
            "sha256": ("", "of the bytes of each array"),
        },
    ),
    "data/<data>/baselines.json": (
        "What a model has to beat, fitted on the training images, scored on the test images; `_se` is a standard error.",
        {
            "uniform_nats": ("nats", "negative log-probability where all levels are equally likely; null for real values"),
            **BASELINES,
            "independent_se": ("nats", "its standard error"),
            "chain_se": ("nats", "its standard error"),
            "chain_why": ("", "why there is no `chain_nats`"),
            "mean_mse": (
                "unit scale, squared",
                "error of the mean training image per pixel and channel, on the scale x / (levels - 1)",
            ),
            "mean_se": ("unit scale, squared", "its standard error"),
            "pca_mse": (
                "unit scale, squared",
                "error of a reconstruction from principal components, by their number",
            ),
            "pca_se": ("unit scale, squared", "its standard error"),
            "floor_nats": ("nats", "negative log-probability under the distribution that the images were drawn from"),
            "floor_se": ("nats", "its standard error"),
        },
    ),
    "artifacts/weights/<run>/<seed>/model.weights.h5": ("The weights of the epoch with the least validation loss.", {}),
    "artifacts/weights/<run>/<seed>/config.json": (
        "All that building the model again takes.",
        {
            "family": ("", "folder of the model"),
            "model": ("", "its file"),
            "spec": ("", "shape, levels and classes of the data"),
            "network": ("", "what it was built with"),
            "seed": ("", "that it was trained with"),
        },
    ),
    "results/<run>/training.json": (
        "What came of training.",
        {
            "parameters": ("", "trainable numbers"),
            "epochs": ("", "that were run"),
            "steps": ("", "of the optimizer"),
            "best_epoch": ("", "the one with the least validation loss, of the first seed"),
            "train_loss": ("as the loss", "in the best epoch, the mean over seeds"),
            "valid_loss": ("as the loss", "the least one, the mean over seeds"),
            "valid_loss_seed_sd": ("as the loss", "its standard deviation over seeds, with several"),
        },
    ),
    "results/<run>/history.csv": (
        "A row per epoch.",
        {
            **SEED,
            "phase": ("", "part of training: `train`"),
            "epoch": ("", "from 1"),
            "step": ("", "of the optimizer, at the end of the epoch"),
            "learning_rate": ("", "at the end of the epoch"),
            **LOSS,
            "valid_<term>": ("as the term", "`loss`, `distortion` or `rate` of the validation images, at beta = 1"),
        },
    ),
    "artifacts/likelihood/<run>.csv": (
        "A row per test image, so that runs can be compared image by image; none without a density.",
        {
            **SEED,
            "image": ("", "index in the test split, from 0"),
            "log_prob_nats": ("nats", "its log-probability, by the estimator of evidence.json"),
            "elbo_nats": ("nats", "its evidence lower bound, the mean over draws"),
            "ess": ("draws", "effective sample size (sum w)^2 / sum w^2 of the importance weights"),
            "max_weight": ("", "share of the largest weight in their sum, 0 to 1"),
        },
    ),
    "results/<run>/evidence.json": (
        "How likely the test images are, over all seeds. Without a density, only that there is none.",
        {
            "data": ("", "the data set"),
            "likelihood": ("", "what p(x | z) is; `none` without a density"),
            **KIND,
            "flags": ("", "what is wrong with the number, in words; empty where nothing is"),
            **NLL,
            **NOISE,
            **INTERVAL,
            "nll_seed_sd": ("nats", "its standard deviation over seeds, with several"),
            "bits_per_dim": ("bits", "nll_nats per pixel and channel, of a `mass` only"),
            "elbo_nats": ("nats", "evidence lower bound of log p(x), the mean over images"),
            "ess_median": ("draws", "effective sample size of the importance weights, the median over images"),
            "ess_min": ("draws", "the least one"),
            **BASELINES,
            "floor_nats": ("nats", "negative log-probability under the data's own distribution, where that is known"),
            "regret_nats": ("nats", "nll_nats - floor_nats, image by image: what the model loses"),
            "regret_se": ("nats", "its standard error over images"),
        },
    ),
    "results/<run>/estimates.csv": ("A row per seed and estimator; none without a density.", SEED | KIND | NLL | NOISE),
    "results/<run>/k_curve.csv": (
        "The importance bound by draws: the more, the tighter.",
        {**SEED, "k": ("", "draws in a bound"), "groups": ("", "disjoint groups of k draws"), **NLL},
    ),
    "artifacts/gallery/<run>.npz": (
        "Arrays for the pages, of the first seed; each there if the model can.",
        {
            "samples": ("units of x", "images drawn from the model"),
            "originals": ("units of x", "the first test images"),
            "reconstructions": ("units of x", "their means given their codes"),
            "traversals": (
                "units of x",
                "[units, steps, H, W, C]: one number of the code moves, the others stay at their mean",
            ),
            "traversal_values": ("units of z", "[units, steps]: where it moves, 3 standard deviations to either side"),
            "codes": ("units of z", "[N, d] of all test images"),
        },
    ),
    "results/<run>/representation.json": (
        "What the codes are good for, of the first seed; nothing where there are none.",
        {
            "latent": ("", "numbers in a code"),
            "reconstruction_mse": (
                "unit scale, squared",
                "of the test images, per pixel and channel, on the scale x / (levels - 1)",
            ),
            "active_units": ("", "numbers of the code whose posterior mean has a variance above 0.01 over images"),
            "probe_<labels>": (
                "share",
                "test accuracy of logistic regression on codes with so many labels; mean over 10 choices",
            ),
            "raw_<labels>": ("share", "the same on pixels"),
            "pca_<labels>": ("share", "the same on as many principal components"),
            "<features>_<labels>_sd": ("share", "standard deviation over the choices"),
        },
    ),
    "reports/html/<run>.html": ("The page of a run.", {}),
    "reports/html/data-<data>.html": ("The page of a data set.", {}),
    "reports/html/index.html": ("The page of all runs.", {}),
    "reports/plots/curves.csv": (
        "For `dvc plots`: validation losses, in nats, of the first seeds of the runs with a probability.",
        {"run": ("", "its name"), "epoch": ("", "from 1"), "valid_loss": LOSS["loss"]},
    ),
    "reports/plots/nll.csv": (
        "For `dvc plots`: the runs whose measure is `mass`.",
        {
            "run": ("", "its name"),
            "data": ("", "its data set"),
            "nll_nats": NLL["nll_nats"],
            **INTERVAL,
            "estimator": KIND["estimator"],
        },
    ),
}
