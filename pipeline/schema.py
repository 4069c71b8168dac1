"""Refuses a params.yaml that makes no sense, in one line that names the key. The signatures in the code are the schema."""

import difflib
import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import get_type_hints

from pydantic import Field, ValidationError, create_model

from pipeline import Refusal, backend, evidence
from pipeline.params import ROOT
from pipeline.sections import Aim, Block, Calibration, Claims, Data, Engine, Params, Resources, Run
from pipeline.wording import shown, words

CODE = Path(__file__).parent
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


def network(family: str, model: str) -> type[Block]:
    """What several models share is explained where they share it: in their base class, or in a module that they build with."""
    made = import_module(f"pipeline.models.{family}.{model}").Model
    own = [kind.__doc__ for kind in made.__mro__ if kind.__module__.startswith("pipeline.")]
    shared = [import_module(f"pipeline.{name}").__doc__ for name in ("nn", "likelihoods", "causal.stacks")]
    return arguments(made.__init__, docs=(*own, *shared))


def training() -> type[Block]:
    return arguments(import_module("pipeline.training").fit)


def parts(phases: tuple[str, ...]) -> type[Block]:
    """How a model is trained whose training has several parts: a block for each of them."""
    meaning = "how this part of training is done; the parts follow each other"
    return create_model("parts", __base__=Block, **{name: (dict, Field(description=meaning)) for name in phases})


@cache
def arguments(function: FunctionType, docs: tuple = (), base: type[Block] = Block, but: tuple = ()) -> type[Block]:
    """The keyword-only arguments of a function; lines `name: meaning` of its docstring, or of `docs`, explain them."""
    meanings, hints = {}, get_type_hints(function, include_extras=True)
    for doc in docs or (function.__doc__,):
        found = re.findall(r"^(\w+): (.+(?:\n +.+)*)", inspect.cleandoc(doc or ""), re.MULTILINE)
        meanings = {name: " ".join(words.split()) for name, words in found} | meanings
    fields = {}
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind is argument.KEYWORD_ONLY and name not in but:
            if name not in hints:
                raise Refusal(f"{function.__module__}.{function.__qualname__}: the argument {name} has no type")
            default = ... if argument.default is argument.empty else argument.default
            fields[name] = (hints[name], Field(default, description=meanings.get(name)))
    return create_model(function.__qualname__, __base__=base, **fields)


def dotted(key: str, name) -> str:
    """The full key of `name` in the block `key`, the whole file where that is empty."""
    plain = isinstance(name, str) and re.fullmatch(r"[\w-]+", name)
    return f"{key}{'.' if key else ''}{name if plain else shown(name)}"


def refuse(key: str, why: str):
    raise Refusal(f"params.yaml: {key}: {why}")


def instead(value, known) -> str:
    near = difflib.get_close_matches(str(value), known, 1)
    return f", did you mean {near[0]}?" if near else f"; there are: {', '.join(known) or 'none'}"


def mapping(key: str, value) -> None:
    if not isinstance(value, dict):
        empty = " (where there is nothing to say, write {})" if value is None else ""
        refuse(key, f"expected a mapping, found {shown(value)}{empty}")


def block(key: str, value, kind: type[Block]) -> None:
    mapping(key, value)
    for name in value:
        if name not in kind.model_fields:
            refuse(dotted(key, name), f"unknown key{instead(name, list(kind.model_fields))}")
    try:
        kind.model_validate(value)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        wanted = words(kind.model_json_schema()["properties"][name])
        why = f"expected {wanted}, found {shown(value[name])}" if name in value else f"missing, expected {wanted}"
        refuse(dotted(key, name), why)


def reference(key: str, value: str, known, place: str) -> None:
    if value not in known:
        refuse(key, f"there is no {shown(value)} in {place}{instead(value, list(known))}")


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
    made = import_module(f"pipeline.models.{value['family']}.{value['model']}").Model
    if value.get("aims") is not None:
        block(f"{key}.aims", value["aims"], Aim)
        if not issubclass(made, import_module("pipeline.base").Density):
            refuse(f"{key}.aims", f"the model {value['model']} has no density")
    if why := evidence.misfit(made, evidence.settings(**params["evidence"][value["evidence"]])):
        refuse(f"{key}.evidence", f"{value['evidence']} does not fit the model {value['model']}: {why}")
    if len(made.phases) == 1:
        return trained(f"{key}.training", value["training"], params)
    block(f"{key}.training", value["training"], parts(made.phases))
    for phase in made.phases:
        trained(f"{key}.training.{phase}", value["training"][phase], params)


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
        model = import_module(f"pipeline.models.{trained['family']}.{trained['model']}").Model
        fits = issubclass(model, base.Encodes) and not issubclass(model, base.Discrete)
        if not fits or issubclass(model, base.Latent) != (name == "vae"):
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
