"""Trains every seed of a run: weights, a history, and what came of it."""

from collections.abc import MutableMapping
from pathlib import Path

import numpy as np
import pandas as pd

import stages
from pipeline import Refusal, backend, params, sharing, store
from pipeline.data import store as data_store
from stages import engine

FIRST = ["seed", "phase", "epoch", "step", "learning_rate", "loss", "valid_loss"]  # columns that every phase has


def phases(model, settings: dict) -> dict[str, dict]:
    """The settings of each part of training, which a model with one part does not name."""
    return settings if len(model.phases) > 1 else {model.phases[0]: settings}


def train(run: str) -> None:
    seeds = params.block(params.read(), "runs", run)["seeds"]
    with store.unfinished("train", run, stages.fingerprint()) as unfinished:
        with store.writing(store.weights(run)) as weights:
            histories, sizes = zip(*engine.each(of_seed, run, seeds, unfinished, weights), strict=True)
        history = pd.concat(histories)
        terms = [name for name in history.columns if name not in (*FIRST, "multiply_adds")]
        store.write_csv(store.result(run, "history.csv"), history[[*FIRST, *terms]])
        store.write_json(store.result(run, "training.json"), summary(histories, sizes[0]))


def of_seed(run: str, seed: int, kept: MutableMapping, weights: Path) -> tuple[pd.DataFrame, int]:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    sharing.share(settings["compute"].get("devices", 1))
    folder = store.data(chosen["data"])
    images, meta = data_store.read(folder), data_store.read_meta(folder)
    spec = {key: meta[key] for key in ("shape", "levels", "classes")}
    print(f"{run}, seed {seed}", flush=True)
    try:
        return train_seed(chosen, spec, images, seed, kept, weights)
    except Refusal as refusal:
        raise Refusal(f"params.yaml: runs.{run}.{refusal}") from None


def train_seed(chosen: dict, spec: dict, images, seed: int, kept: MutableMapping, weights: Path) -> tuple[pd.DataFrame, int]:
    """Its history, with what a step of each phase costs, and how many parameters the model has."""
    from pipeline import cost, models, training

    what = {"family": chosen["family"], "model": chosen["model"], "spec": spec, "network": chosen["network"], "seed": seed}
    model, parts, one = models.build(**what), [], data_store.training_images(images)[:1]
    every = phases(model, chosen["training"])
    sizes = {phase: min(how["batch_size"], len(images.train.x)) for phase, how in every.items()}
    names = {phase: f"training.{f'{phase}.' if len(every) > 1 else ''}batch_size" for phase in every}
    for phase, size in sizes.items():
        sharing.check(names[phase], size)
    for phase, how in every.items():
        with sharing.enough_memory(names[phase]):
            part = pd.DataFrame(training.fit(model, images, seed, phase, kept, **how))
        parts.append(part.assign(seed=seed, phase=phase, multiply_adds=cost.of_step(model, one, images.train.y, sizes[phase])))
    bare = models.build(**what)
    bare.set_weights(model.get_weights())  # without the optimizer, whose slots are of the last epoch
    store.save(bare, weights, what)
    return pd.concat(parts), sum(int(np.prod(weight.shape)) for weight in bare.trainable_weights)


def summary(histories: list[pd.DataFrame], parameters: int) -> dict:
    """Loss and epoch are of the best epoch of the last phase, whose loss is the model's; the epoch is the first seed's."""
    best = []
    for history in histories:
        last = history[history.phase == history.phase.iloc[-1]]
        best.append(last.loc[last.valid_loss.idxmin()])
    phases = histories[0].groupby("phase", sort=False).last()
    found = {
        "parameters": parameters,
        "epochs": len(histories[0]),
        "steps": int(phases.step.sum()),
        "step_multiply_adds": int((phases.step * phases.multiply_adds).sum() // phases.step.sum()),
        "best_epoch": int(best[0].epoch),
        "train_loss": float(np.mean([row.loss for row in best])),
        "valid_loss": float(np.mean([row.valid_loss for row in best])),
    }
    if len(best) > 1:
        found["valid_loss_seed_sd"] = float(np.std([row.valid_loss for row in best], ddof=1))
    return found


if __name__ == "__main__":
    stages.run(train, "run")
