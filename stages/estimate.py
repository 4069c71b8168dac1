"""How likely are the test images: a row per image, estimates with their errors, the headline."""

import numpy as np
import pandas as pd

import stages
from pipeline import Refusal, backend, params, sharing, store
from pipeline.data import store as data_store

WARNED = 500  # validation images on which a model looks for what its reader has to know


def estimate(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline import evidence
    from pipeline.base import Density
    from pipeline.evidence import score, summary

    folder = store.data(chosen["data"])
    images, baselines = data_store.read(folder), store.read_json(folder / "baselines.json")
    wished = evidence.settings(**settings["evidence"][chosen["evidence"]])
    found, warnings = [], []
    with store.unfinished("estimate", run, stages.fingerprint()) as finished:
        for seed in store.seeds(run):
            model = store.load(run, seed)

            def progress(done: int, left: float, seed: int = seed) -> None:
                print(f"{run}, seed {seed}: {done} images  {left:.0f} s left", flush=True)

            tiles = store.Finished(finished / str(seed))
            heavy = f"evidence.{chosen['evidence']}.chains" if wished["annealed"] else f"runs.{run}.network"
            with sharing.enough_memory(f"params.yaml: {heavy}"):
                try:
                    found.append(score.score(model, images, seed, wished, tiles, progress))
                except Refusal as refusal:
                    raise Refusal(f"params.yaml: evidence.{chosen['evidence']}.{refusal}") from None
            if isinstance(model, Density):
                said = model.warnings(np.asarray(images.valid.x[:WARNED]))
                warnings += [f"seed {seed}: {words}" if len(store.seeds(run)) > 1 else words for words in said]
        tables = {name: pd.concat([each[name] for each in found]) for name in found[0]}
        headline = summary.headline(model, tables, chosen["data"], images.test.log_prob, baselines, warnings)
        store.write_csv(store.likelihood(run), tables["images"])
        for name in ("estimates", "k_curve", "sweep", "annealing"):
            store.write_csv(store.result(run, f"{name}.csv"), tables[name])
        store.write_json(store.result(run, "evidence.json"), headline)


if __name__ == "__main__":
    stages.run(estimate, "run")
