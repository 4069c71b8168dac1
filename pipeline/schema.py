"""Refuses a params.yaml that makes no sense, in one line that names the key. The signatures in the code are the schema."""

import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path

from pydantic import Field, create_model

from pipeline import backend, evidence
from pipeline.params import ROOT
from pipeline.refusals import block, dotted, mapping, reference, refuse
from pipeline.sections import Aim, Block, Calibration, Claims, Data, Engine, Gain, Params, Resources, Run
from pipeline.signatures import arguments, constructors
from pipeline.wording import shown

CODE = Path(__file__).parent
SEEDS = 3  # of either run, at least, for a gain to be one
NAME = "[a-z0-9][a-z0-9-]{0,63}"  # of data sets, evidence blocks and runs: folders, pages and stages are called so


def sources() -> list[str]:
    return [file.stem for file in sorted((CODE / "data").glob("*.py")) if "\ndef images(" in file.read_text(encoding="utf-8")]


def families() -> list[str]:
    return [file.parent.name for file in sorted((CODE / "models").glob("*/__init__.py"))]


def models(family: str) -> list[str]:
    files = sorted((CODE / "models" / family).glob("*.py"))
    return [file.stem for file in files if file.stem not in ("__init__", "blocks")]


def compute() -> type[Block]:
    return arguments(backend.start)


def source(name: str) -> type[Block]:
    return arguments(import_module(f"pipeline.data.{name}").images, base=Data, but=("path",))  # `reads` becomes that


def estimation() -> type[Block]:
    return arguments(evidence.settings)


def model(run: dict) -> type:
    return import_module(f"pipeline.models.{run['family']}.{run['model']}").Model


def network(family: str, name: str) -> type[Block]:
    """What several models share is explained where they share it: in their base class, or in a module that they build with."""
    made = model({"family": family, "model": name})
    own = [kind.__doc__ for kind in made.__mro__ if kind.__module__.startswith("pipeline.")]
    shared = [import_module(f"pipeline.{name}").__doc__ for name in ("nn", "likelihoods", "causal.stacks")]
    return arguments(*constructors(made), docs=(*own, *shared))


def training() -> type[Block]:
    return arguments(import_module("pipeline.training").fit)


def parts(phases: tuple[str, ...]) -> type[Block]:
    """How a model is trained whose training has several parts: a block for each of them."""
    meaning = "how this part of training is done; the parts follow each other"
    return create_model("parts", __base__=Block, **{name: (dict, Field(description=meaning)) for name in phases})


def names(section: str, blocks) -> None:
    mapping(section, blocks)
    for name in blocks:
        if not isinstance(name, str):
            refuse(dotted(section, name), "a name must be text: put it in quotes")
        if not re.fullmatch(NAME, name):
            refuse(dotted(section, name), "a name is a-z, 0-9 and -, 64 at most, and does not begin with -")


def data_set(key: str, value, taken: list[Path], root: Path) -> None:
    mapping(key, value)
    block(key, {name: value[name] for name in Data.model_fields if name in value}, Data)
    reference(f"{key}.source", value["source"], sources(), "pipeline/data")
    block(key, value, source(value["source"]))
    reads, own = value["reads"], f"pipeline/data/{value['source']}.py"
    if value["source"] != "file" and reads == own:
        return
    if "path" not in inspect.signature(import_module(f"pipeline.data.{value['source']}").images).parameters:
        refuse(f"{key}.reads", f"expected {own}, the source's own file, found {shown(reads)}")
    path = root / reads
    if Path(reads).is_absolute():
        refuse(
            f"{key}.reads", f"expected a path in the project, to the file or folder or to a link to it, found {shown(reads)}"
        )
    if ".." in path.parts or path == root:
        refuse(f"{key}.reads", f"expected a path without .. to your file or folder, found {shown(reads)}")
    for folder in taken:
        if path == folder or path in folder.parents or folder in path.parents:
            refuse(f"{key}.reads", f"{shown(reads)} is where the prepared images of data.{folder.name} go; put it elsewhere")
    if not there(path):
        refuse(f"{key}.reads", f"there is no file or folder {shown(reads)}")


def there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a null character, is nobody's
        return False


def run(key: str, value, params: dict) -> None:
    block(key, value, Run)
    reference(f"{key}.data", value["data"], params["data"], "data")
    reference(f"{key}.evidence", value["evidence"], params["evidence"], "evidence")
    reference(f"{key}.family", value["family"], families(), "pipeline/models")
    reference(f"{key}.model", value["model"], models(value["family"]), f"pipeline/models/{value['family']}")
    twice = [seed for seed in value["seeds"] if value["seeds"].count(seed) > 1]
    if twice:
        refuse(f"{key}.seeds", f"{twice[0]} stands there more than once")
    if value["seeds"] != sorted(value["seeds"]):
        refuse(f"{key}.seeds", f"expected rising numbers, found {shown(value['seeds'])}")  # the first seed is the least
    block(f"{key}.network", value["network"], network(value["family"], value["model"]))
    made = model(value)
    if value.get("aims") is not None:
        block(f"{key}.aims", value["aims"], Aim)
        if not issubclass(made, import_module("pipeline.base").Density):
            refuse(f"{key}.aims", f"the model {value['model']} has no density")
    for other, wanted in (value.get("beats") or {}).items():
        gain(f"{key}.beats", value, other, wanted, params)
    for number, system in enumerate(value.get("systems") or []):
        reference(f"{key}.systems.{number}", system, systems(), "docs/systems.csv")
    if why := evidence.misfit(made, evidence.settings(**params["evidence"][value["evidence"]])):
        refuse(f"{key}.evidence", f"{value['evidence']} does not fit the model {value['model']}: {why}")
    if len(made.phases) == 1:
        return trained(f"{key}.training", value["training"], params)
    block(f"{key}.training", value["training"], parts(made.phases))
    for phase in made.phases:
        trained(f"{key}.training.{phase}", value["training"][phase], params)


def gain(key: str, one: dict, other: str, wanted, params: dict) -> None:
    """Of a run over another: the same images and kind of number, and enough seeds to know chance."""
    reference(key, other, params["runs"], "runs")
    block(f"{key}.{other}", wanted, Gain)
    than, base = params["runs"][other], import_module("pipeline.base")
    if than["data"] != one["data"]:
        refuse(f"{key}.{other}", f"it is trained on {than['data']}, expected a run on {one['data']}")
    bound = wanted.get("elbo") or wanted.get("amortisation")
    for run in (one, than):
        if not issubclass(model(run), base.Latent if bound else base.Density):
            refuse(f"{key}.{other}", f"the model {run['model']} has no {'bound' if bound else 'density'}")
        if wanted.get("amortisation") and params["evidence"][run["evidence"]].get("annealed") is None:
            refuse(f"{key}.{other}.amortisation", f"evidence.{run['evidence']} has no annealing, which goes with it")
        if len(run["seeds"]) < SEEDS:
            refuse(f"{key}.{other}", f"a gain is one over {SEEDS} seeds of either run, found {shown(run['seeds'])}")


@cache
def systems() -> list[str]:
    rows = (ROOT / "docs" / "systems.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [row.split(",")[0] for row in rows]


def trained(key: str, value, params: dict) -> None:
    block(key, value, training())
    size, devices = value["batch_size"], params["compute"].get("devices", 1)
    if devices != "all" and size % devices:
        refuse(f"{key}.batch_size", f"{size} images cannot be shared evenly by {devices} devices")


def claims(key: str, value, params: dict) -> None:
    block(key, value, Claims)
    reference(f"{key}.data", value["data"], params["data"], "data")
    base = import_module("pipeline.base")
    for name in ("ae", "vae"):
        at, chosen = f"{key}.{name}", value[name]
        reference(at, chosen, params["runs"], "runs")
        trained = params["runs"][chosen]
        if trained["data"] != value["data"]:
            refuse(at, f"{chosen} is trained on {trained['data']}, expected a run on {value['data']}")
        made = model(trained)
        fits = issubclass(made, base.Encodes) and not issubclass(made, base.Discrete)
        if not fits or issubclass(made, base.Latent) != (name == "vae"):
            kind = "has a prior and a code of real numbers" if name == "vae" else "encodes and decodes without a prior"
            refuse(at, f"{chosen} is of the model {trained['model']}, expected one that {kind}")


def calibration(value, params: dict) -> None:
    """Both estimators are tried, so both have to be asked for; and a sum over codes is what theirs is compared with."""
    block("calibration", value, Calibration)
    wished = {}
    for name in ("latent", "codes"):
        reference(f"calibration.{name}", value[name], params["evidence"], "evidence")
        wished[name] = evidence.settings(**params["evidence"][value[name]])
        if wished[name]["draws"] is None:
            refuse(f"calibration.{name}", f"evidence.{value[name]} has no draws, of which there is nothing to calibrate")
    if wished["latent"]["annealed"] is None:
        refuse("calibration.latent", f"evidence.{value['latent']} has no annealing, which is to be calibrated")
    if wished["codes"]["annealed"] is not None or wished["codes"]["defensive"]:
        refuse("calibration.codes", f"evidence.{value['codes']} asks for what discrete codes do not have")


def check(params: dict, root: Path = ROOT) -> None:
    """Raises a Refusal that names the first thing wrong. `root`: where relative paths begin."""
    block("", params, Params)
    block("engine", engine := params.get("engine") or {"kind": "local"}, Engine)
    block("engine.resources", engine.get("resources", {}), Resources)
    block("compute", params["compute"], compute())
    if params["compute"].get("devices", 1) not in (1, "all") and params["compute"]["backend"] == "tensorflow":
        refuse("compute.devices", "several share a batch on JAX only: write 1, or compute.backend: jax")
    for section in ("data", "evidence", "runs", "claims"):
        names(section, params[section])
    if not params["runs"]:
        refuse("runs", "expected at least one run, found none")
    for name in params["runs"]:
        if name in ("index", "calibration") or name.startswith(("data-", "claims-")):
            refuse(f"runs.{name}", "a run cannot be called so: another page has this name")
    for name, value in params["data"].items():
        data_set(f"data.{name}", value, [root / "data" / each for each in params["data"]], root)
    for name, value in params["evidence"].items():
        block(f"evidence.{name}", value, estimation())
    calibration(params["calibration"], params)
    for section, one in {"runs": run, "claims": claims}.items():
        for name, value in params[section].items():
            one(f"{section}.{name}", value, params)
