"""Trains every seed of a run: weights, a history, and what came of it."""

import numpy as np
import pandas as pd

import stages
from pipeline import Refusal, backend, params, store
from pipeline.data import store as data_store


def train(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline import models, training

    folder = store.data(chosen["data"])
    images, meta = data_store.read(folder), data_store.read_meta(folder)
    spec = {key: meta[key] for key in ("shape", "levels", "classes")}
    histories = []
    with store.writing(store.weights(run)) as weights:
        for seed in chosen["seeds"]:
            print(f"{run}, seed {seed}", flush=True)
            try:
                model = models.build(chosen["family"], chosen["model"], spec, chosen["network"], seed)
                history = pd.DataFrame(training.fit(model, images, seed, **chosen["training"]))
            except Refusal as refusal:
                raise Refusal(f"params.yaml: runs.{run}.{refusal}") from None
            bare = models.build(chosen["family"], chosen["model"], spec, chosen["network"], seed)
            bare.set_weights(model.get_weights())  # without the optimizer, whose slots are of the last epoch
            history.insert(0, "seed", seed)
            history.insert(1, "phase", "train")
            histories.append(history)
            config = {"family": chosen["family"], "model": chosen["model"], "spec": spec, "network": chosen["network"]}
            store.save(bare, weights / str(seed), config | {"seed": seed})
    store.write_csv(store.result(run, "history.csv"), pd.concat(histories))
    best = [history.loc[history.valid_loss.idxmin()] for history in histories]
    summary = {
        "parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "epochs": len(histories[0]),
        "steps": int(histories[0].step.iloc[-1]),
        "best_epoch": int(best[0].epoch),  # of the first seed
        "train_loss": float(np.mean([row.loss for row in best])),
        "valid_loss": float(np.mean([row.valid_loss for row in best])),
    }
    if len(best) > 1:
        summary["valid_loss_seed_sd"] = float(np.std([row.valid_loss for row in best], ddof=1))
    store.write_json(store.result(run, "training.json"), summary)


if __name__ == "__main__":
    stages.run(train, "run")
