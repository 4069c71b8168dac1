"""How likely are the test images: a row per image, estimates with their errors, the headline."""

import pandas as pd

import stages
from pipeline import backend, params, store
from pipeline.data import store as data_store


def estimate(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline import evidence
    from pipeline.evidence import summary

    folder = store.data(chosen["data"])
    test, baselines = data_store.read(folder).test, store.read_json(folder / "baselines.json")
    wished = evidence.settings(**settings["evidence"][chosen["evidence"]])
    found = []
    for seed in store.seeds(run):
        model = store.load(run, seed)

        def progress(done: int, left: float, seed: int = seed) -> None:
            print(f"{run}, seed {seed}: {done}/{len(test.x)} images  {left:.0f} s left", flush=True)

        found.append(summary.score(model, test.x, seed, wished["draws"], progress))
    tables = {name: pd.concat([each[name] for each in found]) for name in found[0]}
    headline = summary.headline(model, tables, chosen["data"], test.log_prob, baselines)
    store.write_csv(store.likelihood(run), tables["images"])
    store.write_csv(store.result(run, "estimates.csv"), tables["estimates"])
    store.write_csv(store.result(run, "k_curve.csv"), tables["k_curve"])
    store.write_json(store.result(run, "evidence.json"), headline)


if __name__ == "__main__":
    stages.run(estimate, "run")
