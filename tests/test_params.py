"""A params.yaml that makes no sense is refused in one line that names the key; what makes sense is not."""

import re
import subprocess
import sys
from importlib import import_module

import dvc_helpers
import pytest

from pipeline import Refusal, evidence, params, schema

PROFILES = [params.ROOT / "params.yaml", *sorted(params.ROOT.glob("profiles/*/params.yaml"))]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.parent.name)
def test_every_profile_makes_sense(profile, tmp_path):
    content = params.read(profile)
    for block in content["data"].values():  # whose files need not be here
        if block["source"] == "file":
            (tmp_path / block["reads"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block["reads"]).touch()
    schema.check(content, tmp_path)


TEXT = """
compute: {backend: tensorflow, threads: 2, precision: float32}
data:
  digits: {source: digits, reads: pipeline/data/digits.py, binarised: none, seed: 0}
  mine: {source: file, reads: mine.npy, levels: 2, valid: 0.1, test: 0.2, seed: 0}
evidence:
  none: {}
  standard: {draws: 5000, annealed: 32}
  codes: {draws: 200, integral: enumeration}
calibration: {latent: standard, codes: codes, images: 200, epochs: 10}
claims:
  digits: {data: digits, ae: digits-ae, vae: digits-vae}
runs:
  digits-vae:
    data: digits
    family: latent
    model: vae
    seeds: [0, 1]
    network: {latent: 8, body: dense, widths: [128, 128], likelihood: categorical, dropout: 0.1}
    training: {epochs: 150, batch_size: 64, learning_rate: 0.003}
    evidence: standard
  digits-ae:
    data: digits
    family: autoencoder
    model: ae
    seeds: [0]
    network: {latent: 2, body: dense, widths: []}
    training: {epochs: 1, batch_size: 32, learning_rate: 0.001}
    evidence: none
"""
RUN = "runs.digits-vae"
NAME = "a name is a-z, 0-9 and -, 64 at most, and does not begin with -"
DIGITS = "source: digits, reads: pipeline/data/digits.py, binarised: none, seed: 0"
MNIST, REST = "source: mnist, reads:", "binarised: none, valid: 5, seed: 0"
SEEDS = "expected a list of 1 or more whole numbers from 0 to 4,294,967,295"
TYPED = [  # what stands there, what is typed instead, the answer ("...": and so on)
    ("latent: 8", "latnet: 8", f"{RUN}.network.latnet: unknown key, did you mean latent?"),
    ("seed: 0", "size: 8", "data.digits.size: unknown key; there are: source, reads, binarised, seed"),
    ("levels", "path: a, levels", "data.mine.path: unknown key; there are: source, reads, levels, valid, test, seed, resize"),
    ("evidence:\n", "evidences:\n", "evidences: unknown key, did you mean evidence?"),
    ("latent: 8, ", "", f"{RUN}.network.latent: missing, expected a whole number from 1 to 1,000,000"),
    (TEXT[TEXT.index("compute") : TEXT.index("data")], "", "compute: missing, expected a mapping"),
    ("source: file, ", "", "data.mine.source: missing, expected text"),
    (" 0.003", ' "0.003"', f"{RUN}.training.learning_rate: expected a number above 0 and below 10, found '0.003'"),
    (" 0.003", " 0.0", f"{RUN}.training.learning_rate: expected a number above 0 and below 10, found 0.0"),
    ("epochs: 150", "epochs: 1.5e2", f"{RUN}.training.epochs: expected a whole number from 1 to 1,000,000, found 150.0"),
    ("threads: 2", "threads: true", "compute.threads: expected a whole number from 1 to 1,024, found true"),
    ("dropout: 0.1", "dropout: 1", f"{RUN}.network.dropout: expected a number from 0 and below 1, found 1"),
    ("dropout: 0.1", "dropout: .nan", f"{RUN}.network.dropout: expected a number from 0 and below 1, found nan"),
    ("draws: 5000", "draws: .inf", "evidence.standard.draws: expected a whole number from 10 to 10,000,000 or null, found inf"),
    ("body: dense", "body: dens", f"{RUN}.network.body: expected dense or conv, found 'dens'"),
    ("[128, 128]", "[128, 0]", f"{RUN}.network.widths: expected a list of whole numbers from 1 to 1,000,000, found [128, 0]"),
    ("none: {}", "none:", "evidence.none: expected a mapping, found null (where there is nothing to say, write {})"),
    ("data: digits\n", "data: digist\n", f"{RUN}.data: there is no 'digist' in data, did you mean digits?"),
    (
        "evidence: standard",
        "evidence: best",
        f"{RUN}.evidence: there is no 'best' in evidence; there are: none, standard, codes",
    ),
    ("source: digits", "source: digit", "data.digits.source: there is no 'digit' in pipeline/data, did you mean digits?"),
    ("source: digits", "source: store", "data.digits.source: there is no 'store' in pipeline/data; there are: blindspot, ..."),
    ("family: latent", "family: latents", f"{RUN}.family: there is no 'latents' in pipeline/models, did you mean latent?"),
    ("family: latent", "family: ../data", f"{RUN}.family: there is no '../data' in pipeline/models; there are: ..."),
    ("model: vae", "model: vea", f"{RUN}.model: there is no 'vea' in pipeline/models/latent, did you mean vae?"),
    ("model: vae", "model: blocks", f"{RUN}.model: there is no 'blocks' in pipeline/models/latent; there are: ..."),
    ("model: vae", "model: ../latent/vae", f"{RUN}.model: there is no '../latent/vae' in pipeline/models/latent..."),
    ("data/digits.py", "data", "data.digits.reads: expected pipeline/data/digits.py, the source's own file, found ..."),
    ("mine.npy", "thine.npy", "data.mine.reads: there is no file or folder 'thine.npy'"),
    (
        "reads: mine.npy",
        "reads: /tmp/mine.npy",
        "data.mine.reads: expected a path in the project, to the file or folder or to a link to it, found ...",
    ),
    ("mine.npy", "../mine.npy", "data.mine.reads: expected a path without .. to your file or folder, found '../mine.npy'"),
    ("mine.npy", "''", "data.mine.reads: expected a path without .. to your file or folder, found ''"),
    ("mine.npy", "x" * 300, "data.mine.reads: there is no file or folder 'xxx..."),
    ("mine.npy", "data/mine/", "data.mine.reads: 'data/mine/' is where the prepared images of data.mine go; ..."),
    ("mine.npy", "data", "data.mine.reads: 'data' is where the prepared images of data.digits go; put it elsewhere"),
    (DIGITS, f"{MNIST} pipeline/data/digits.py, {REST}", "data.digits.reads: there is no file or folder 'pipeline/...'"),
    (
        DIGITS,
        f"{MNIST} ../copy, {REST}",
        "data.digits.reads: expected a path without .. to your file or folder, found '../copy'",
    ),
    (DIGITS, f"{MNIST} pipeline/data/mnist.py, seed: 0", "data.digits.binarised: missing, expected none, static or dynamic"),
    ("[0, 1]", "[0, 0]", f"{RUN}.seeds: 0 stands there more than once"),
    ("[0, 1]", "[1, 0]", f"{RUN}.seeds: expected rising numbers, found [1, 0]"),
    ("[0, 1]", "[]", f"{RUN}.seeds: {SEEDS}, found []"),
    ("[0, 1]", "[-1]", f"{RUN}.seeds: {SEEDS}, found [-1]"),
    ("compute:", "engine: {kind: spark}\ncompute:", "engine.kind: expected local or ray, found 'spark'"),
    ("compute:", "engine: {address: auto}\ncompute:", "engine.kind: missing, expected local or ray"),
    ("compute:", "engine: {kind: ray, resources: {gpu: 1}}\ncompute:", "engine.resources.gpu: unknown key, did you mean gpus?"),
    ("threads: 2", "threads: 2, devices: 4", "compute.devices: several share a batch on JAX only: write 1, or ..."),
    ("tensorflow, threads: 2", "jax, threads: 2, devices: 5", f"{RUN}.training.batch_size: 64 images cannot be shared ..."),
    ("seeds: [0]", "seeds: [0]\n    aims: {nats: 9, within: 1, source: x}", "runs.digits-ae.aims: the model ae has no density"),
    ("seeds: [0, 1]", "seeds: [0, 1]\n    aims: {nats: 9, within: 1}", f"{RUN}.aims.source: missing, expected text"),
    ("digits-vae:", "data-vae:", "runs.data-vae: a run cannot be called so: another page has this name"),
    ("digits-vae:", "index:", "runs.index: a run cannot be called so: another page has this name"),
    ("digits-vae:", "calibration:", "runs.calibration: a run cannot be called so: another page has this name"),
    ("digits-vae:", "Digits_VAE:", f"runs.Digits_VAE: {NAME}"),
    ("digits-vae:", f"{'v' * 65}:", f"runs.{'v' * 65}: {NAME}"),
    ("digits-vae:", "2:", "runs.2: a name must be text: put it in quotes"),
    ("mine:", "-mine:", f"data.-mine: {NAME}"),
    ("none:", '"no\\nne":', rf"evidence.'no\nne': {NAME}"),
    ("none:", '"":', f"evidence.'': {NAME}"),
    (" enumeration", " sum", "evidence.codes.integral: expected enumeration, quadrature or gaussian or null, found 'sum'"),
    (
        "annealed: 32",
        "annealed: 1",
        "evidence.standard.annealed: expected a whole number from 2 to 10,000,000 or null, found 1",
    ),
    ("draws: 200", "defensive: 1.0", "evidence.codes.defensive: expected a number from 0 and below 1, found 1.0"),
    (
        "evidence: standard",
        "evidence: codes",
        f"{RUN}.evidence: codes does not fit the model vae: integral: enumeration is ...",
    ),
    ("calibration:", "calibrate:", "calibrate: unknown key, did you mean calibration?"),
    (TEXT[TEXT.index("calibration") : TEXT.index("claims")], "", "calibration: missing, expected a mapping"),
    ("latent: standard", "latnet: standard", "calibration.latnet: unknown key, did you mean latent?"),
    ("latent: standard", "latent: standart", "calibration.latent: there is no 'standart' in evidence, did you mean standard?"),
    ("codes: codes", "codes: code", "calibration.codes: there is no 'code' in evidence, did you mean codes?"),
    ("images: 200", "images: 9", "calibration.images: expected a whole number from 10 to 1,000, found 9"),
    ("epochs: 10}", "epochs: 0}", "calibration.epochs: expected a whole number from 1 to 1,000, found 0"),
    (
        "latent: standard",
        "latent: none",
        "calibration.latent: evidence.none has no draws, of which there is nothing to calibrate",
    ),
    ("latent: standard", "latent: codes", "calibration.latent: evidence.codes has no annealing, which is to be calibrated"),
    ("codes: codes", "codes: none", "calibration.codes: evidence.none has no draws, of which there is nothing to calibrate"),
    ("codes: codes", "codes: standard", "calibration.codes: evidence.standard asks for what discrete codes do not have"),
    ("claims:\n", "claim:\n", "claim: unknown key, did you mean claims?"),
    ("vae: digits-vae", "vea: digits-vae", "claims.digits.vea: unknown key, did you mean vae?"),
    ("ae: digits-ae", "ae: digits-ea", "claims.digits.ae: there is no 'digits-ea' in runs, did you mean digits-ae?"),
    ("ae: digits-ae", "ae: digits-vae", "claims.digits.ae: digits-vae is of the model vae, expected one that encodes and ..."),
    ("vae: digits-vae", "vae: digits-ae", "claims.digits.vae: digits-ae is of the model ae, expected one that has a prior ..."),
    ("{data: digits", "{data: mien", "claims.digits.data: there is no 'mien' in data, did you mean mine?"),
    ("{data: digits", "{data: mine", "claims.digits.ae: digits-ae is trained on digits, expected a run on mine"),
    ("digits-vae:", "claims-vae:", "runs.claims-vae: a run cannot be called so: another page has this name"),
    (TEXT[TEXT.index("runs:") :], "runs: {}\n", "runs: expected at least one run, found none"),
    ("latent: 8", "latent: 8, latent: 9", '...duplicate key "latent"...'),
    ("threads: 2", "threads: [2", "...expected ',' or ']'..."),
    (TEXT, "- 1\n", "expected a mapping of sections, found list"),
    (TEXT, "", "expected a mapping of sections, found NoneType"),
    ("digits-vae", "digits-va\udcff", "...can't decode byte 0xff..."),
]


def fits(answer: str, said: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, answer.split("..."))), said) is not None  # "." is no end of line


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.npy").touch()
    return tmp_path


@pytest.mark.parametrize("before, after, answer", TYPED)
def test_a_typed_mistake_is_answered_in_these_words(before, after, answer, mine):
    file = mine / "params.yaml"
    file.write_text(TEXT)
    schema.check(params.read(file), mine)
    assert before in TEXT
    file.write_bytes(TEXT.replace(before, after, 1).encode(errors="surrogateescape"))
    with pytest.raises(Refusal) as caught:
        schema.check(params.read(file), mine)
    assert fits(f"params.yaml: {answer}", str(caught.value))


@pytest.mark.parametrize(
    "family, model, wished, why",
    [
        ("latent", "vae", {"integral": "enumeration"}, "integral: enumeration is for discrete codes"),
        ("quantised", "vqvae", {"integral": "quadrature"}, "integral: quadrature is for z of real numbers"),
        ("quantised", "vqvae", {"annealed": 2}, "annealed: the posterior of this model cannot score a z that it did not ..."),
        ("quantised", "vqvae", {"defensive": 0.1}, "defensive: the posterior of this model cannot score a z that it did ..."),
    ],
)
def test_settings_that_cannot_be_meant_for_a_model_are_told(family, model, wished, why):
    kind = import_module(f"pipeline.models.{family}.{model}").Model
    assert fits(why, evidence.misfit(kind, evidence.settings(**wished)))


@pytest.mark.parametrize(
    "family, model, wished",
    [
        ("latent", "vae", {"draws": 10, "integral": "quadrature", "annealed": 2, "defensive": 0.1}),
        ("quantised", "vqvae", {"draws": 10, "integral": "enumeration"}),
        ("autoregressive", "pixelcnn", {"draws": 10, "integral": "enumeration", "annealed": 2}),  # says log p(x) outright
        ("autoencoder", "ae", {"draws": 10, "integral": "quadrature", "annealed": 2}),  # says none
    ],
)
def test_settings_that_fit_a_model_are_not_refused(family, model, wished):
    kind = import_module(f"pipeline.models.{family}.{model}").Model
    assert evidence.misfit(kind, evidence.settings(**wished)) is None


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> dvc_helpers.Project:
    project = dvc_helpers.copy(tmp_path_factory.mktemp("check"), TEXT)
    (project.path / "mine.npy").touch()
    return project


@pytest.mark.parametrize(
    "before, after, env, answer",
    [
        ("threads", "treads", {}, "params.yaml: compute.treads: unknown key, did you mean threads?"),
        ("epochs: 150", "epochs: [", {}, "params.yaml: ..."),
        ("", "", {"KERAS_BACKEND": "jax"}, "KERAS_BACKEND=jax contradicts compute.backend=tensorflow of params.yaml: unset it"),
    ],
)
def test_the_stage_refuses_in_one_line_and_writes_nothing(project, before, after, env, answer):
    checked = project.path / "artifacts" / "checked"
    checked.parent.mkdir(exist_ok=True)
    checked.write_text("as it was")
    (project.path / "params.yaml").write_text(TEXT.replace(before, after, 1))
    command = [sys.executable, "-m", "stages.check"]
    done = subprocess.run(command, cwd=project.path, env=project.env | env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert fits(answer, done.stderr.removesuffix("\n"))
    assert checked.read_text() == "as it was"
    assert list(checked.parent.iterdir()) == [checked]
