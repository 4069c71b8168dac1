"""Remove what belongs to runs and data sets that params.yaml no longer has, naming each thing: python -m tools.prune

A leftover is what no stage of dvc.yaml and params.yaml reads or makes, in a place where stages alone write. A folder of
data/ must also look like a prepared data set, for users may keep files of their own there.
"""

import shutil

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml

from pipeline import Refusal
from pipeline.params import ROOT
from stages import run

PLACES = ("results/*/", "results/claims-*.json", "artifacts/weights/*/", "reports/html/*", "data/*/")
PLACES += tuple(f"artifacts/{kind}/*" for kind in ("claims", "gallery", "likelihood"))


def leftovers(used: set) -> list:
    """`used`: every path that a stage names; a folder that holds one of them is used, too."""
    used = used | {folder for path in used for folder in path.parents}
    found = [path for place in PLACES for path in sorted(ROOT.glob(place)) if path not in used]
    prepared = [path for path in found if path.parent.name != "data" or (path / "baselines.json").exists()]
    return [path for path in prepared if not path.name.startswith(".")]


def remove(stages: list) -> None:
    for path in leftovers({ROOT / path.fs_path for s in stages for path in (*s.deps, *s.outs)}):
        print(f"removing {path.relative_to(ROOT)}")
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    names = {s.name for s in stages if s.path_in_repo == "dvc.yaml"}
    with modify_yaml(ROOT / "dvc.lock") as lock:
        for name in sorted(lock.get("stages", {}).keys() - names):
            print(f"removing {name} from dvc.lock")
            del lock["stages"][name]


def prune() -> None:
    try:
        with Repo(ROOT) as repo, repo.lock:  # not under the feet of a `dvc repro`
            remove(repo.index.stages)
    except DvcException as error:
        raise Refusal(f"nothing pruned: {' '.join(str(error).split())}") from None


if __name__ == "__main__":
    run(prune)
