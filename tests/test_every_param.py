"""Every mistake in every field is refused, made from the schema itself: what is new there is covered at once."""

import math
import sys
from importlib import import_module
from pathlib import Path

import dvc_helpers
import pytest

from pipeline import Refusal, schema
from pipeline.evidence import misfit, settings
from pipeline.wording import words


def example(kind: dict):
    """A value that fits a JSON schema."""
    if "anyOf" in kind:
        return example(kind["anyOf"][0])
    if "enum" in kind or "const" in kind:
        return kind.get("enum", [kind.get("const")])[0]
    if kind["type"] == "array":
        return [example(kind["items"])] * kind.get("minItems", 1)
    low, high = kind.get("minimum", kind.get("exclusiveMinimum", 0)), kind.get("maximum", kind.get("exclusiveMaximum"))
    middle = low + 1 if high is None else (low + high) / 2
    return {"string": "", "boolean": True, "object": {}, "integer": low, "number": middle}[kind["type"]]


def fields(block: type[schema.Block]) -> dict[str, dict]:
    return block.model_json_schema()["properties"]


def filled(block: type[schema.Block]) -> dict:
    return {name: example(kind) for name, kind in fields(block).items()}


def everything() -> tuple[dict, dict]:
    """A params.yaml with every key there is, and the schema of its blocks by their keys."""
    content = {"compute": filled(schema.compute()), "data": {}, "runs": {}}
    full = filled(schema.estimation())
    content["evidence"] = {"none": {}, "full": full | {"integral": "quadrature"}}
    content["evidence"]["drawn"] = full | {"integral": None, "annealed": None, "defensive": 0.0}
    content["evidence"]["codes"] = full | {"integral": "enumeration", "annealed": None, "defensive": 0.0}
    content["calibration"] = filled(schema.Calibration) | {"latent": "full", "codes": "codes"}
    blocks = {"": schema.Params, "compute": schema.compute(), "calibration": schema.Calibration}
    blocks |= {"evidence.full": schema.estimation(), "evidence.codes": schema.estimation()}
    for source in schema.sources():
        reads = "mine.npy" if source == "file" else f"pipeline/data/{source}.py"
        content["data"][source] = filled(schema.source(source)) | {"source": source, "reads": reads}
        blocks[f"data.{source}"] = schema.source(source)
    for family, model in ((each, model) for each in schema.families() for model in schema.models(each)):
        name, made = f"digits-{model}".replace("_", "-"), import_module(f"pipeline.models.{family}.{model}").Model
        parts = made.phases
        training, how = f"runs.{name}.training", filled(schema.training())
        blocks |= {f"runs.{name}": schema.Run, f"runs.{name}.network": schema.network(family, model)}
        if len(parts) == 1:
            blocks[training] = schema.training()
        else:
            how = dict.fromkeys(parts, how)
            blocks |= {training: schema.parts(parts)} | {f"{training}.{part}": schema.training() for part in parts}
        content["runs"][name] = {
            "data": "digits",
            "family": family,
            "model": model,
            "seeds": [0],
            "network": filled(schema.network(family, model)),
            "training": how,
            "evidence": next(
                each for each, asked in content["evidence"].items() if asked and not misfit(made, settings(**asked))
            ),
        }
    content["claims"] = {"digits": {"data": "digits", "ae": "digits-ae", "vae": "digits-vae"}}
    blocks["claims.digits"] = schema.Claims
    return content, blocks


CONTENT, BLOCKS = everything()


def kinds_of(value) -> set[str]:
    """The JSON types that a value may have in params.yaml; a whole number is also a number, true is not."""
    names = {type(None): "null", bool: "boolean", int: "integer number", float: "number", str: "string", list: "array"}
    return set((names | {dict: "object"})[type(value)].split())


def misfits(kind: dict) -> list:
    """Values of a wrong type and values out of range."""
    several = kind.get("anyOf", [kind])
    allowed = {each["type"] for each in several}
    wrong = [value for value in (None, True, 3, 1.5, "other", ["other"], {"other": 1}) if not kinds_of(value) & allowed]
    for each in several:
        if "enum" in each or "const" in each:
            wrong += ["other", ""]
        elif each["type"] in ("integer", "number"):
            wrong += [math.inf, -math.inf, math.nan]
            beyond = {"minimum": -1, "maximum": 1, "exclusiveMinimum": 0, "exclusiveMaximum": 0}
            wrong += [each[key] + step for key, step in beyond.items() if key in each]
        elif each["type"] == "array":
            item = example(each["items"])
            wrong += [[item, value] if each.get("maxItems", 2) > 1 else [value] for value in misfits(each["items"])]
            wrong += [[item] * (each[key] + step) for key, step in (("minItems", -1), ("maxItems", 1)) if key in each]
    return wrong


def mistakes(content: dict, block: type[schema.Block]):
    """A field, a block with a mistake in it, and how the answer goes on after the key."""
    for name, kind in fields(block).items():
        yield f"{name}x", content | {f"{name}x": 1}, f"unknown key, did you mean {name}?"
        if block.model_fields[name].is_required():
            without = {key: value for key, value in content.items() if key != name}
            yield name, without, f"missing, expected {words(kind)}"
        for value in misfits(kind):
            yield name, content | {name: value}, f"expected {words(kind)}, found "


def at(key: str, content: dict) -> dict:
    for part in filter(None, key.split(".")):
        content = content[part]
    return content


def put(key: str, content: dict, block: dict) -> dict:
    first, _, rest = key.partition(".")
    return content | {first: put(rest, content[first], block)} if key else block


def answer(content: dict, root: Path) -> str:
    try:
        schema.check(content, root)
    except Refusal as refusal:
        return str(refusal)
    return "nothing wrong"


@pytest.mark.parametrize("key", BLOCKS)
def test_a_mistake_in_any_field_is_refused(key, tmp_path):
    (tmp_path / "mine.npy").touch()
    tried = 0
    for name, spoilt, goes_on in mistakes(at(key, CONTENT), BLOCKS[key]):
        said = answer(put(key, CONTENT, spoilt), tmp_path)
        full = f"{key}.{name}" if key else name
        assert said.startswith(f"params.yaml: {full}: {goes_on}"), spoilt
        assert len(said.splitlines()) == 1
        tried += 1
    assert tried >= 3 * len(fields(BLOCKS[key]))


def test_the_stage_passes_every_source_and_model_and_writes_a_constant(tmp_path):
    project = dvc_helpers.copy(tmp_path, dvc_helpers.dump(CONTENT))
    (project.path / "mine.npy").touch()
    assert project.run(sys.executable, "-m", "stages.check") == ""
    assert (project.path / "artifacts" / "checked").read_text() == "params.yaml makes sense\n"


def test_an_argument_without_a_type_is_refused_by_its_name():
    def images(*, size, seed: int): ...

    with pytest.raises(Refusal, match="images: the argument size has no type"):
        schema.arguments(images)
