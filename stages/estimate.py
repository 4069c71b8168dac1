"""How likely are the test images: a row per image, estimates with their errors, the headline."""

from collections.abc import MutableMapping

import numpy as np
import pandas as pd

import stages
from pipeline import Refusal, backend, params, sharing, store
from pipeline.data import store as data_store
from stages import engine

WARNED = 500  # validation images on which a model looks for what its reader has to know


def estimate(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    folder, seeds = store.data(chosen["data"]), store.seeds(run)
    with store.unfinished("estimate", run, stages.fingerprint()) as finished:
        found, models, warnings = zip(*engine.each(of_seed, run, seeds, finished, divisible=True), strict=True)
        backend.start(**settings["compute"])  # which a stage has not yet whose work was done elsewhere
        from pipeline.base import Spec
        from pipeline.evidence import summary

        said = [
            f"seed {seed}: {words}" if len(seeds) > 1 else words
            for seed, each in zip(seeds, warnings, strict=True)
            for words in each
        ]
        tables = {name: pd.concat([each[name] for each in found]) for name in found[0]}
        gates = tables["gates"]
        said += [f"not passed: {gate}" for gate in gates.gate[~gates.passed.astype(bool)].unique()]
        spec, floor = Spec.of(data_store.read_meta(folder)), data_store.read(folder).test.log_prob
        baselines = store.read_json(folder / "baselines.json")
        headline = summary.headline(models[0], spec, tables, chosen["data"], floor, baselines, said)
        store.write_csv(store.likelihood(run), tables["images"])
        for name in ("estimates", "k_curve", "sweep", "annealing", "gates"):
            store.write_csv(store.result(run, f"{name}.csv"), tables[name])
        passed = {"gates": len(gates), "gates_passed": int(gates.passed.sum())} if len(gates) else {}
        store.write_json(store.result(run, "evidence.json"), headline | passed)


def of_seed(run: str, seed: int, kept: MutableMapping, _) -> tuple[dict[str, pd.DataFrame], dict, list[str]]:
    """Tables, what kind of distribution they are about, and what their reader has to know."""
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline import evidence, gates
    from pipeline.base import Density
    from pipeline.evidence import score

    images = data_store.read(store.data(chosen["data"]))
    wished = evidence.settings(**settings["evidence"][chosen["evidence"]])
    model = store.load(run, seed)

    def progress(done: int, left: float) -> None:
        print(f"{run}, seed {seed}: {done} images  {left:.0f} s left", flush=True)

    heavy = f"evidence.{chosen['evidence']}.chains" if wished["annealed"] else f"runs.{run}.network"
    with sharing.enough_memory(f"params.yaml: {heavy}"):
        try:
            tables = score.score(model, images, seed, wished, kept, progress)
        except Refusal as refusal:
            raise Refusal(f"params.yaml: evidence.{chosen['evidence']}.{refusal}") from None
    tables["gates"] = pd.DataFrame(model.gates(images)).assign(seed=seed).reindex(columns=gates.COLUMNS)
    warnings = model.warnings(np.asarray(images.valid.x[:WARNED])) if isinstance(model, Density) else []
    return tables, score.kinds(model), warnings


if __name__ == "__main__":
    stages.run(estimate, "run")
