"""Where a page comes from: the hashes DVC records for the files it was made of, the parameters, the packages."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from IPython.display import HTML

from pipeline.figures.parts import note, section, table
from pipeline.store import md5

PACKAGES = ("numpy", "pandas", "matplotlib", "papermill", "nbconvert", "dvc")


def versions() -> dict[str, str]:
    """Asked of the installed packages' metadata: a page imports no framework."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def provenance(root: Path, inputs: list[Path], command: str) -> None:
    """The last section of each page. The first of its inputs is the one that no other page has, as far as there is one."""
    hashes = {path.relative_to(root).as_posix(): md5(path) for path in inputs}
    name, value = next(iter(hashes.items()))
    section(
        "Where this page comes from",
        f"`{command}` makes it again, byte for byte, from the files below. The first commit that "
        f"`git log --reverse -S {value} -- '*dvc.lock'` lists is the one that brought its `{name}`; there, `git checkout` and "
        "`dvc checkout` bring back all of it.",
    )
    rows = [{"file": name, "md5": HTML(f"<code>{value}</code>")} for name, value in hashes.items()]
    fold = f"{len(rows)} files and their hashes" if len(rows) > 12 else ""
    table(rows, "MD5 as in dvc.lock; `.dir` marks the hash of a folder's list of files.", fold)
    note("This page was rendered with " + ", ".join(f"{name} {number}" for name, number in versions().items()) + ".")
