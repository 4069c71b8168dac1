"""The habits of the house that a machine can hold."""

import ast
import re
import subprocess
import sys

import pytest

from pipeline.params import ROOT

TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    if name and (ROOT / name).is_file()
]
CODE = [path for path in TRACKED if path.suffix in {".py", ".sh"} or path.name in {"Makefile", "run"}]
MODELS = [
    path
    for path in CODE
    if path.parent.parent == ROOT / "pipeline" / "models" and path.name not in {"__init__.py", "blocks.py"}
]


def imports(path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def test_no_file_is_longer_than_people_read():
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in CODE}
    assert {name: lines for name, lines in long.items() if lines > 250} == {}
    assert MODELS
    assert [path.name for path in MODELS if len(path.read_text(encoding="utf-8").splitlines()) > 120] == []


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_imports_no_other_model_and_no_framework(path):
    for name in imports(path):
        assert name.split(".")[0] in {"keras", "numpy", "pipeline", "annotated_types", "typing", "math", "itertools"}, name
        if name.startswith("pipeline.models."):
            assert name.startswith(f"pipeline.models.{path.parent.name}.blocks"), name


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_names_its_paper(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert re.search(r"https?://", docstring)
    assert re.search(r"\b(19|20)\d\d\b", docstring)


LAYERS = ["base", "distributions", "nn", "data", "models", "evidence", "training", "representation"]


def test_imports_point_one_way():
    for path in (ROOT / "pipeline").rglob("*.py"):
        for name in imports(path):
            assert not name.startswith("stages"), path
            if "evidence" in path.parts or path.name in {"base.py", "distributions.py", "nn.py", "training.py"}:
                assert not name.startswith("pipeline.models"), path
            if "figures" in path.parts or path.name == "notebook.py":
                assert name.split(".")[0] not in {"keras", "tensorflow", "jax"}, path
            if path.name not in ("backend.py", "sharing.py"):
                assert name.split(".")[0] not in {"tensorflow", "jax"}, path


def test_one_file_knows_the_cluster():
    for path in CODE:
        if path.suffix == ".py" and "tests" not in path.parts and path.name != "cluster.py":
            assert "ray" not in {name.split(".")[0] for name in imports(path)}, path
    assert "engine" not in (ROOT / "dvc.yaml").read_text(encoding="utf-8").replace("stages/engine.py", "")


def test_the_library_imports_without_a_framework():
    """So that pages, params and data can be read in a second."""
    code = (
        "import sys, pipeline, pipeline.store, pipeline.params, pipeline.data.store; "
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_what_pages_are_made_with_loads_no_framework():
    figures = [f"pipeline.figures.{path.stem}" for path in sorted((ROOT / "pipeline" / "figures").glob("*.py"))]
    script = f"import sys, pipeline.notebook, {', '.join(figures)}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not {"tensorflow", "keras", "jax"} & set(loaded.split())


def test_nothing_opens_a_pickle_or_evaluates_text():
    for path in CODE:
        if path.suffix == ".py" and path.parent.name != "tests":
            text = path.read_text(encoding="utf-8")
            for word in ("import pickle", "allow_pickle=True", "eval(", "yaml.load(", "exec("):
                assert word not in text, f"{path.name}: {word}"
