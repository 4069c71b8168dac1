"""What the files that stages write hold: the columns and keys, their units and meanings. docs/files.md is made from it."""

from tools.outputs_of_claims import CLAIMS
from tools.outputs_of_evidence import BASELINES, CALIBRATION, EVIDENCE, INTERVAL, KIND, NLL, PAIRED, SEED

LOSS = {
    "loss": (
        "nats; squared error where there is no density; squared MMD of validation samples of a GAN",
        "what training minimised (its rate weighted by beta), the mean over images; with a critic its loss is in it, and of an "
        "energy model trained by chains it is a difference of energies, not a likelihood: the validation loss is one",
    ),
    "distortion": ("as the loss", "the part of it that reconstruction costs"),
    "rate": ("nats", "the part of it that the code costs, KL(q(z | x) || p(z)); of a map of codes -log p(z)"),
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
            "weights_md5": ("", "of the file beside it: weights that have another are not loaded"),
            "versions": ("", "of Python, Keras, its backend and numpy; with others, loading it warns"),
        },
    ),
    "results/<run>/training.json": (
        "What came of training.",
        {
            "parameters": ("", "trainable numbers"),
            "epochs": ("", "that were run"),
            "steps": ("", "of the optimizer"),
            "step_multiply_adds": (
                "",
                "in the products and convolutions of a step: three times those of its loss, also where a part is frozen or no "
                "gradient goes; "
                "the mean over steps",
            ),
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
            "phase": ("", "part of training: `train`, or of a model with codes `codes`, then `prior`"),
            "epoch": ("", "from 1"),
            "step": ("", "of the optimizer, at the end of the epoch"),
            "learning_rate": ("", "at the end of the epoch"),
            **LOSS,
            "commitment": ("squared distance", "beta |z_e - sg(e)|^2, what draws encodings to their codes"),
            "tightening": (
                "nats",
                "what the bound of several draws adds to `distortion + rate`: negative, as it is tighter",
            ),
            "distance": (
                "squared MMD",
                "of implicit models: how far draws of the prior are from codes, times the penalty, or samples from images",
            ),
            "penalty": ("squared distance", "penalty |z|^2 of an auto-decoder's codes"),
            "codebook": ("squared distance", "|sg(z_e) - e|^2, what draws codes to encodings, where the loss does that"),
            "valid_<term>": (
                "as the term",
                "the same of the validation images, at beta = 1; empty where a phase lacks the term",
            ),
        },
    ),
    **EVIDENCE,
    "artifacts/gallery/<run>.npz": (
        "Arrays for the pages, of the first seed; each there if the model can.",
        {
            "samples": ("units of x", "images drawn from the model"),
            "nearest": ("units of x", "the training image that is nearest to each of `samples`, by squared difference"),
            "originals": ("units of x", "the first test images"),
            "reconstructions": ("units of x", "their means given their codes"),
            "traversals": (
                "units of x",
                "[units, steps, H, W, C]: one number of the code moves, the others stay at their mean",
            ),
            "traversal_values": ("units of z", "[units, steps]: where it moves, 3 standard deviations to either side"),
            "codes": ("units of z", "[N, d] of all test images"),
            "class_samples": ("units of x", "[classes * 8, H, W, C]: 8 images drawn of each class"),
            "likelihood_map": ("nats", "[N, H, W] log p(x_i | x_<i) of every pixel of `originals`, negative"),
            "completions": ("units of x", "[8 * 8, H, W, C]: 8 lower halves drawn for each of the first 8 `originals`"),
            "kl": ("nats", "KL(q(z_i | x) || p(z_i)) of each number, or group, of the code, the mean over test images"),
            "code_counts": ("", "[K] how often each code stands in the maps of the training images"),
            "code_maps": ("", "[N, sites] codes of all test images, row by row"),
        },
    ),
    "results/<run>/quality.json": (
        "How good samples of the first seed are, in features and without a likelihood; nothing where there are none.",
        {
            "features": ("", "what the images are compared in"),
            "samples": ("", "how many samples"),
            "real": ("", "how many test images they are compared with"),
            "classifier_accuracy": ("share", "of test images that the classifier is right about, whose features are used"),
            "frechet": ("", "Frechet distance of samples to test images"),
            "density": ("", "of samples near test images"),
            "coverage": ("share", "of test images that have a sample near"),
            "training_frechet": ("", "the same of as many training images, which perfect samples would have, and so on"),
            "training_density": ("", ""),
            "training_coverage": ("share", ""),
        },
    ),
    "results/<run>/representation.json": (
        "What the samples and codes are good for, of the first seed; nothing where there are none.",
        {
            "sample_multiply_adds": ("", "in the products and convolutions of drawing one image"),
            "nearest_rms": (
                "unit scale",
                "root mean squared difference per pixel of a sample and the nearest training image, the median of the samples",
            ),
            "nearest_test_rms": ("unit scale", "the same of the test images: samples that are much nearer are copies"),
            "latent": ("", "numbers in a code"),
            "reconstruction_mse": (
                "unit scale, squared",
                "of the test images, per pixel and channel, on the scale x / (levels - 1)",
            ),
            "active_units": ("", "numbers of the code whose posterior mean has a variance above 0.01 over images"),
            "kl_nats": ("nats", "what the code costs per test image, KL(q(z | x) || p(z))"),
            "kl_<dimension>": ("nats", "what each dimension, or group, of the code costs of that; they add up to it"),
            "mig": (
                "share",
                "mutual information gap of the numbers of a code drawn from q(z | x) and the factors of the images, "
                "where these are known; the mean over seeds, as are the three below",
            ),
            "dci": ("share", "disentanglement: whether a number of the code serves one factor"),
            "completeness": ("share", "whether one number of the code serves a factor"),
            "factors_told": ("share", "of the factors of test images that forests read off their codes"),
            **{f"{name}_<seed>": ("share", "of one seed") for name in ("mig", "dci", "completeness", "factors_told")},
            "codes_used": ("", "codes that stand in a map of the training images"),
            "perplexity": ("codes", "exp of the entropy of their frequencies"),
            "code_bits": ("bits", "of a test image's map of codes, under the prior"),
            "independent_code_bits": ("bits", "under the frequencies of codes at each place, which know nothing of each other"),
            "uniform_code_bits": ("bits", "where all codes are alike"),
            "raw_bits": ("bits", "of the pixels as they are, with levels"),
            "compression": ("", "raw_bits / code_bits; the map alone does not give the pixels back"),
            "k_means_mse": ("unit scale, squared", "as reconstruction_mse, of k-means on pieces of images with as many codes"),
            "probe_<labels>": (
                "share",
                "test accuracy of logistic regression on codes with so many labels; mean over 10 choices",
            ),
            "raw_<labels>": ("share", "the same on pixels"),
            "pca_<labels>": ("share", "the same on as many principal components"),
            "<features>_<labels>_sd": ("share", "standard deviation over the choices"),
        },
    ),
    **CLAIMS,
    **CALIBRATION,
    "reports/html/<run>.html": ("The page of a run.", {}),
    "reports/html/data-<data>.html": ("The page of a data set.", {}),
    "reports/html/claims-<claims>.html": ("The page of what is claimed of two runs.", {}),
    "reports/html/calibration.html": ("The page of the calibration.", {}),
    "reports/html/index.html": ("The page of all runs.", {}),
    "reports/plots/curves.csv": (
        "For `dvc plots`: validation losses of the last phase, in nats, of the first seeds of the runs with a probability.",
        {"data": ("", "its data set"), "run": ("", "its name"), "epoch": ("", "from 1"), "valid_loss": LOSS["loss"]},
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
    **PAIRED,
}
