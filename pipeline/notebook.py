"""A template notebook -> one HTML file: papermill runs it, nbconvert writes it, and the same inputs give the same bytes."""

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from pipeline import Refusal, store
from pipeline.figures.parts import code, page
from pipeline.figures.style import css
from pipeline.params import ROOT

KERNEL = "pages"


@contextmanager
def kernel():
    """This very Python as a kernel of its own: no kernel, profile or start-up file that a user has installed interferes."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "kernels", KERNEL, "kernel.json")
        spec.parent.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        spec.write_text(json.dumps({"argv": argv, "display_name": KERNEL, "language": "python"}))
        before = dict(os.environ)
        os.environ.update(JUPYTER_PATH=folder, IPYTHONDIR=str(Path(folder, "ipython")), JUPYTER_PLATFORM_DIRS="1")
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # their number changes the last bits of an SVD
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def render(template: str, name: str, title: str, **parameters: str) -> str:
    """The page `name` of reports/templates/<template>.ipynb, with `parameters` in place of its parameters cell."""
    source = ROOT / "reports" / "templates" / f"{template}.ipynb"
    sound(source)
    half = store.SCRATCH / f"{name}.ipynb"
    half.parent.mkdir(exist_ok=True)
    try:
        with kernel():
            notebook = papermill.execute_notebook(
                source,
                half,
                parameters,
                kernel_name=KERNEL,
                cwd=ROOT,
                progress_bar=False,
                record_timing=False,  # else every cell carries the time of day
                coalesce_streams=True,
                shutdown_kernel="immediate",  # gracefully, it is interrupted first and may complain of that
            )
    except PapermillExecutionError as error:
        said = " ".join(str(error.evalue).split()) or "no message"
        raise Refusal(
            f"{source.relative_to(ROOT)}: cell {error.exec_count} failed with {error.ename}: {said} "
            f"(half-run notebook: {half.relative_to(ROOT)}; "
            f"`dvc checkout {store.page(name).relative_to(ROOT)}` brings back the last page)"
        ) from None
    half.unlink()
    return html(notebook, title)


def sound(source: Path) -> None:
    """Refuse what is no notebook, cut short as it may be."""
    try:
        nbformat.validate(nbformat.read(source, 4))
    except (OSError, ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0][:200]
        name = source.relative_to(ROOT)
        raise Refusal(f"{name}: no notebook ({why}); `git checkout {name}` brings back the last one") from None


def html(notebook, title: str) -> str:
    """nbconvert's bare template in a page of our own: its full ones load MathJax, require.js and mermaid from elsewhere."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = str(number)  # papermill gives the cell of parameters a random one
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "code" or cell.outputs]
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    return page(title, body.strip() + code(sources), css())
