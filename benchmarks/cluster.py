"""An estimate by one worker of a Ray cluster and by two, each of one thread: python -m benchmarks.cluster, fifteen minutes.

Whole stages, as `dvc repro` starts them: with what it takes to reach the cluster, to start the workers and to compile in each.
Both workers are on this machine, each a node of its own, so a second one has a core of its own where there are two.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.results import HEAD, in_turns, report, seconds
from pipeline.params import ROOT

sys.path.append(str(ROOT / "tests"))
from dvc_helpers import copy, dump, load

DRAWS, FASTER = 20_000, 1.6


def main() -> None:
    from ray.cluster_utils import Cluster

    params = load((ROOT / "profiles" / "smoke" / "params.yaml").read_text(encoding="utf-8"))
    run = params["runs"]["digits-vae"]
    params["compute"]["threads"], params["runs"], params["claims"] = 1, {"digits-vae": run}, {}
    run["network"]["widths"] = [256, 256]
    params["evidence"][run["evidence"]] = {"draws": DRAWS, "scales": [2.0]}
    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=200 * 2**20)
    with tempfile.TemporaryDirectory() as folder:
        project = copy(Path(folder), dump(params))
        project.dvc("repro", "train@digits-vae")

        def estimate(workers: int) -> float:
            engine = {"kind": "ray", "address": cluster.address, "workers": workers}
            (project.path / "params.yaml").write_text(dump(params | {"engine": engine}))
            return seconds(lambda: project.run(sys.executable, "-m", "stages.estimate", "digits-vae"))

        took = in_turns({"ours": lambda: estimate(2), "one": lambda: estimate(1)}, 3)
    cluster.shutdown()
    print(HEAD)
    report("cluster", "estimate", took, {}, {"one": FASTER})


if __name__ == "__main__":
    main()
