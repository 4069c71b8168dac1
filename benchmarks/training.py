"""How fast a VAE is trained, images per second: python -m benchmarks.training, some minutes; wants requirements-bench.txt.

A VAE of 28x28 binary images, 16 latent dimensions, batches of 100, Adam, two threads, three times the same network:

ours:   `python -m stages.train`, with its batches that follow from the seed, validation, history and checkpoints
pythae: its BaseTrainer, without validation
bare:   a loop in PyTorch that does nothing else

Each in a process of its own, timed from the end of the first epoch to that of the last; `start s` is all before, imports and
compiling, less what an epoch takes afterwards. `per s` is images.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.results import HEAD, in_turns, report
from pipeline import params, store
from tools import profiles

CASES = {  # body, widths, images, epochs of which the first is not counted
    "mlp": ("dense", [512], 40_000, 5),
    "conv": ("conv", [32, 64], 4_000, 4),
}
BATCH, LATENT, RATE, VALID, SHARE = 100, 16, 1e-3, 500, 10_000
TARGETS = {"pythae": 1.5, "bare": 1.0}


def images(count: int) -> np.ndarray:
    return (np.random.default_rng(0).random((count, 28, 28, 1)) < 0.3).astype("uint8")


def project(folder: Path) -> None:
    """A copy of this project with a run for each case and its data prepared."""
    from pipeline.data import store as data_store
    from pipeline.data.store import Images, Split

    profiles.mirror(params.ROOT, folder, profiles.known(params.ROOT), set())
    settings = {"compute": {"backend": "tensorflow", "threads": 2, "precision": "float32"}, "runs": {}, "data": {}}
    for case, (body, widths, count, epochs) in CASES.items():
        network = {"latent": LATENT, "body": body, "widths": widths, "likelihood": "bernoulli"}
        training = {"epochs": epochs, "batch_size": BATCH, "learning_rate": RATE}
        settings["runs"][case] = {"data": case, "family": "latent", "model": "vae", "seeds": [0], "network": network}
        settings["runs"][case] |= {"training": training, "evidence": "none"}
        settings["data"][case] = {"source": "file"}
        train, valid = Split(images(count)), Split(images(VALID))
        data_store.write(folder / "data" / case, Images(train, valid, valid, levels=2), {})
    store.write_json(folder / "params.yaml", settings)  # JSON is YAML


def epochs_of(command: list[str], cwd: Path, count: int) -> tuple[float, float]:
    """Seconds for SHARE images after the first epoch, and what came before, of a process that prints a line per epoch."""
    env = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONUNBUFFERED": "1"}
    began, ends = perf_counter(), []
    with tempfile.TemporaryFile("w+") as said:  # a pipe that nobody reads would fill up
        with subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=said, text=True) as process:
            for line in process.stdout:
                if line.startswith("epoch "):
                    ends.append(perf_counter())
        if process.returncode != 0:
            said.seek(0)
            raise RuntimeError(said.read())
    epoch = (ends[-1] - ends[0]) / (len(ends) - 1)
    return epoch / count * SHARE, max(0.0, ends[0] - began - epoch)


def torch_network(case: str):
    """Encoder and decoder as pipeline/nn.py builds them."""
    from torch import nn

    body, widths, _, _ = CASES[case]
    if body == "dense":
        (hidden,) = widths
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ELU(), nn.Linear(hidden, 2 * LATENT))
        decoder = nn.Sequential(nn.Linear(LATENT, hidden), nn.ELU(), nn.Linear(hidden, 784), nn.Unflatten(1, (1, 28, 28)))
        return encoder, decoder
    first, second = widths
    encoder = nn.Sequential(
        *(nn.Conv2d(1, first, 3, 1, 1), nn.ELU(), nn.Conv2d(first, second, 3, 2, 1), nn.ELU()),
        *(nn.Flatten(), nn.Linear(second * 14 * 14, 2 * LATENT)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(LATENT, second * 14 * 14), nn.ELU(), nn.Unflatten(1, (second, 14, 14))),
        *(nn.ConvTranspose2d(second, first, 4, 2, 1), nn.ELU(), nn.Conv2d(first, 1, 3, 1, 1)),
    )
    return encoder, decoder


def bare(case: str) -> None:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.set_num_threads(2)
    _, _, count, epochs = CASES[case]
    encoder, decoder = torch_network(case)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], RATE)
    data = torch.from_numpy(images(count).astype("float32").reshape(-1, 1, 28, 28))
    for epoch in range(epochs):
        order = torch.randperm(count)
        for first in range(0, count, BATCH):
            x = data[order[first : first + BATCH]]
            mean, log_var = encoder(x).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            distortion = binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
            kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum()
            loss = (distortion + kl) / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}", flush=True)


def pythae_model(case: str):
    import torch
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    encoder, decoder = torch_network(case)

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = encoder

        def forward(self, x):
            mean, log_var = self.layers(x).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = decoder

        def forward(self, z):
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    return VAE(config, encoder=Encoder(), decoder=Decoder())


def pythae(case: str) -> None:
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Clock(TrainingCallback):
        def on_epoch_end(self, training_config, **kwargs):
            print("epoch ended", flush=True)

    torch.set_num_threads(2)
    _, _, count, epochs = CASES[case]
    data = torch.from_numpy(images(count).astype("float32").reshape(-1, 1, 28, 28))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, num_epochs=epochs, learning_rate=RATE, no_cuda=True
        )
        dataset = BaseDataset(data, torch.zeros(count))
        BaseTrainer(pythae_model(case), dataset, None, config, callbacks=[Clock()]).train()


def main() -> None:
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "project"
        project(here)
        for case, (_, _, count, _) in CASES.items():
            start: dict[str, float] = {}

            def timed(name: str, command: list[str], cwd: Path, count: int = count, start: dict = start) -> float:
                took, start[name] = epochs_of(command, cwd, count)
                return took

            ways = {"ours": ([sys.executable, "-m", "stages.train", case], here)}
            for name in ("pythae", "bare"):
                ways[name] = ([sys.executable, "-m", "benchmarks.training", name, case], params.ROOT)
            took = in_turns({name: lambda n=name, w=way: timed(n, *w) for name, way in ways.items()})
            report("training", case, took, start, TARGETS, SHARE)


if __name__ == "__main__":
    if sys.argv[1:]:
        {"bare": bare, "pythae": pythae}[sys.argv[1]](sys.argv[2])
    else:
        main()
