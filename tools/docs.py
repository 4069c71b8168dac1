"""Writes what is generated of docs/, from signatures, docstrings, dvc.yaml, outputs.py and scaling.py: python tools/docs.py"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline import Refusal, schema
from pipeline.params import ROOT, read
from pipeline.wording import shown, words
from tools import scaling
from tools.outputs import FILES

PARAMS = """# params.yaml, key by key

Written by `make docs` from the code: a key is an argument there, and its type and range are the argument's.
`python -m stages.check` refuses everything else in one line that names the key. A key without a default must be given.
The file is YAML 1.2: `1e-3` is a number, and no key may stand twice.

What reruns is what `dvc repro` runs again when the value has changed, where it belongs to the data set, the run or the
calibration, after `check`, which reads everything. A stage is left out when what the stages before it wrote has come out the
same.
"""
PHASES = """A model whose training has several parts, named below, has one such block for each of them.
"""
OUTPUTS = """# Every output

Written by `make docs`. `<run>`, `<data>` and `<claims>` are names in params.yaml. What is kept in git is small and can be
compared between commits; the rest is ignored by git and kept in the cache of DVC, whose hashes are in dvc.lock. No output
holds a time, a host name or an absolute path: the same params.yaml and code give the same bytes. Logs, wall times and
half-finished work are in `.scratch/`, which neither git nor DVC looks at.
"""


class Stages:
    """dvc.yaml, with * for every name that params.yaml fills in."""

    def __init__(self):
        stages = read(ROOT / "dvc.yaml")["stages"]
        self.each = {name: stage.get("foreach", "").strip("${}") for name, stage in stages.items()}
        self.text = {name: json.dumps(stage) for name, stage in stages.items()}
        self.body = {name: json.loads(re.sub(r"\$\{[^}]+\}", "*", text)) for name, text in self.text.items()}
        self.body = {name: body.get("do", body) for name, body in self.body.items()}

    def outputs(self, name: str) -> dict[str, str]:
        """The paths that a stage writes, and where they are kept."""
        lists = [(path, "DVC") for path in self.body[name]["outs"]]
        lists += [(*entry, "git") for kind in ("metrics", "plots") for entry in self.body[name].get(kind, [])]
        return dict(lists)

    def reads(self, name: str, key: str) -> bool:
        """Whether a stage depends on a key: it tracks it, or a path of its own is made from it."""
        tracked = [entry for entry in self.body[name].get("params", []) if isinstance(entry, str)]
        section, *_, last = key.split(".")
        named = section == self.each[name] and f"${{item.{last}}}" in self.text[name]
        return named or any(f"{key}.".startswith(f"{each}.") for each in tracked)

    def reruns(self, key: str) -> str:
        found = []
        for name in self.body:  # in the order of the pipeline
            made = [path for other in found for path in self.outputs(other)]
            deps = self.body[name]["deps"]
            fed = any(path == dep or path.startswith(f"{dep}/") for path in made for dep in deps)
            if name != "check" and (fed or self.reads(name, key)):
                found.append(name)
        return ", ".join(found)


def table(*rows: tuple) -> str:
    """The first row is the head."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows) + "\n"


def keys(block: type[schema.Block], but=(), stages: Stages | None = None) -> str:
    """A row per key of a block; with `stages`, of a run's block, what reruns stands in it."""
    kinds, rows = block.model_json_schema()["properties"], []
    for name, field in block.model_fields.items():
        if name not in but:
            if not field.description:
                raise Refusal(f"{block.__name__}: no docstring has a line `{name}: meaning`")
            default = "" if field.is_required() else f"`{shown(field.default).strip(chr(39))}`"
            row = (f"`{name}`", field.description, words(kinds[name]), default)
            rows.append((*row, stages.reruns(f"runs.*.{name}")) if stages else row)
    return table(("key", "meaning", "value", "default", *(["reruns"] if stages else [])), *rows)


def again(block: type[schema.Block], at: str, stages: Stages) -> str:
    """What a change of any key reruns: the same for all keys of a block."""
    (reruns,) = {stages.reruns(f"{at}.{name}") for name in block.model_fields}
    return f"A change reruns {reruns}.\n"


def title(module: str) -> str:
    """What a module says it is, in its first line."""
    return f"{import_module(module).__doc__.splitlines()[0]}\n"


def params() -> str:
    stages, data = Stages(), schema.Data
    parts = [
        PARAMS,
        table(("section", "what it says"), *((f"`{n}`", f.description) for n, f in schema.Params.model_fields.items())),
    ]
    parts += ["## engine\n", "A change reruns nothing.\n", keys(schema.Engine)]
    parts += ["## engine.resources\n", keys(schema.Resources)]
    parts += ["## compute\n", again(schema.compute(), "compute", stages), keys(schema.compute())]
    parts += ["## data.&lt;name&gt;\n", again(data, "data.*", stages), keys(data), "What else it says depends on its source.\n"]
    for name in schema.sources():
        parts += [f"### source: {name}\n", title(f"pipeline.data.{name}"), keys(schema.source(name), data.model_fields)]
    estimation, training = schema.estimation(), schema.training()
    parts += ["## evidence.&lt;name&gt;\n", again(estimation, "evidence.*", stages), keys(estimation)]
    parts += ["## runs.&lt;name&gt;\n", keys(schema.Run, stages=stages)]
    parts += ["## runs.&lt;name&gt;.training\n", again(training, "runs.*.training", stages), PHASES, keys(training)]
    parts += ["## runs.&lt;name&gt;.aims\n", again(schema.Aim, "runs.*.aims", stages), keys(schema.Aim)]
    parts += ["## runs.&lt;name&gt;.beats.&lt;another run&gt;\n", again(schema.Gain, "runs.*.beats", stages), keys(schema.Gain)]
    parts += ["## runs.&lt;name&gt;.network\n"]
    for number, (family, model) in enumerate((each, model) for each in schema.families() for model in schema.models(each)):
        network = schema.network(family, model)
        parts += [again(network, "runs.*.network", stages)] if number == 0 else []
        parts += [f"### family: {family}, model: {model}\n", title(f"pipeline.models.{family}.{model}"), keys(network)]
        phases = import_module(f"pipeline.models.{family}.{model}").Model.phases
        parts += ["Its training has parts:\n", keys(schema.parts(phases))] if len(phases) > 1 else []
    claims, calibration = schema.Claims, schema.Calibration
    parts += ["## calibration\n", again(calibration, "calibration", stages), keys(calibration)]
    parts += ["## claims.&lt;name&gt;\n", again(claims, "claims.*", stages), keys(claims)]
    return "\n".join(parts)


def files() -> str:
    stages, parts = Stages(), [OUTPUTS]
    for path, (what, columns) in FILES.items():
        generic = re.sub("<[a-z]+>", "*", path)
        written = [
            (name, kept)
            for name in stages.body
            for out, kept in stages.outputs(name).items()
            if f"{generic}/".startswith(f"{out}/")
        ]
        if len(written) != 1:
            raise Refusal(f"tools/outputs.py: {path} is written by {len(written)} stages of dvc.yaml, expected 1")
        parts += [f"## `{path}`\n", f"{what} Written by `{written[0][0]}`, kept in {written[0][1]}.\n"]
        rows = [(f"`{name}`", unit, meaning) for name, (unit, meaning) in columns.items()]
        parts += [table(("name", "unit", "meaning"), *rows)] if rows else []
    return "\n".join(parts)


PAGES = {"params.md": params, "files.md": files, "scaling.md": scaling.page}


if __name__ == "__main__":
    from stages.check import Anything

    sys.modules["keras"] = Anything("keras", (), {})  # no model is built
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")
