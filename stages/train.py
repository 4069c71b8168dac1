"""Trains every seed of a run: weights, a history, and what came of it."""

import numpy as np
import pandas as pd

import stages
from pipeline import Refusal, backend, params, store
from pipeline.data import store as data_store

FIRST = ["seed", "phase", "epoch", "step", "learning_rate", "loss", "valid_loss"]  # columns that every phase has


def phases(model, settings: dict) -> dict[str, dict]:
    """The settings of each part of training, which a model with one part does not name."""
    return settings if len(model.phases) > 1 else {model.phases[0]: settings}


def train(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline import cost, models, training

    folder = store.data(chosen["data"])
    images, meta = data_store.read(folder), data_store.read_meta(folder)
    spec = {key: meta[key] for key in ("shape", "levels", "classes")}
    histories, one = [], data_store.training_images(images)[:1]
    with store.writing(store.weights(run)) as weights:
        for seed in chosen["seeds"]:
            print(f"{run}, seed {seed}", flush=True)
            try:
                model = models.build(chosen["family"], chosen["model"], spec, chosen["network"], seed)
                parts, costs = {}, []
                for phase, how in phases(model, chosen["training"]).items():
                    parts[phase] = pd.DataFrame(training.fit(model, images, seed, phase, **how)).assign(phase=phase)
                    costs.append(parts[phase].step.iloc[-1] * cost.of_step(model, one, images.train.y, how["batch_size"]))
            except Refusal as refusal:
                raise Refusal(f"params.yaml: runs.{run}.{refusal}") from None
            bare = models.build(chosen["family"], chosen["model"], spec, chosen["network"], seed)
            bare.set_weights(model.get_weights())  # without the optimizer, whose slots are of the last epoch
            histories += [part.assign(seed=seed) for part in parts.values()]
            config = {"family": chosen["family"], "model": chosen["model"], "spec": spec, "network": chosen["network"]}
            store.save(bare, weights / str(seed), config | {"seed": seed})
    history = pd.concat(histories)
    terms = [name for name in history.columns if name not in FIRST]
    store.write_csv(store.result(run, "history.csv"), history[[*FIRST, *terms]])
    last = [part for part in histories if part.phase.iloc[0] == model.phases[-1]]  # whose loss is the model's
    best = [part.loc[part.valid_loss.idxmin()] for part in last]
    steps = int(sum(part.step.iloc[-1] for part in parts.values()))
    summary = {
        "parameters": sum(int(np.prod(weight.shape)) for weight in bare.trainable_weights),
        "epochs": sum(len(part) for part in parts.values()),
        "steps": steps,
        "step_multiply_adds": int(sum(costs) // steps),
        "best_epoch": int(best[0].epoch),  # of the first seed
        "train_loss": float(np.mean([row.loss for row in best])),
        "valid_loss": float(np.mean([row.valid_loss for row in best])),
    }
    if len(best) > 1:
        summary["valid_loss_seed_sd"] = float(np.std([row.valid_loss for row in best], ddof=1))
    store.write_json(store.result(run, "training.json"), summary)


if __name__ == "__main__":
    stages.run(train, "run")
