"""Templates: clean, without a framework, and with the parameters that stages pass."""

import ast
import re

import nbformat
import papermill
import pytest
from ruamel.yaml import YAML

from pipeline import notebook, params
from stages import argue, compare, describe, explain, report
from tools import diff

TEMPLATES = sorted((params.ROOT / "reports" / "templates").glob("*.ipynb"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_is_clean_and_imports_no_framework(path):
    cells = nbformat.read(path, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")
    tree = ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        imported |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "pipeline" else {node.module}
    allowed = r"sys|pathlib|json|numpy|pandas|pipeline\.(params|store|verdict|data|data\.store|figures(\..+)?)"
    assert {name for name in imported if not re.fullmatch(allowed, name)} == set()


def test_templates_know_what_stages_pass(monkeypatch):
    passed = {}

    def render(template: str, name: str, title: str, **parameters):
        passed[template] = set(parameters)
        raise InterruptedError

    monkeypatch.setattr(notebook, "render", render)
    monkeypatch.setattr(diff, "restore", lambda revision: [])
    first = next(iter(YAML(typ="safe").load((params.ROOT / "params.yaml").read_text())["runs"]))
    for call in (
        lambda: report.report(first),
        lambda: describe.describe("digits"),
        lambda: argue.argue("digits"),
        explain.explain,
        compare.compare,
        lambda: diff.diff("HEAD"),
    ):
        with pytest.raises(InterruptedError):
            call()
    assert passed == {path.stem: set(papermill.inspect_notebook(str(path))) for path in TEMPLATES}
    assert passed["run"] == {"run"}
