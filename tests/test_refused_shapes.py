"""Images that a network cannot take: the stage that trains says so in one line, before it trains, and leaves nothing."""

import keras
import pytest

import stages
from pipeline import Refusal, params, store
from pipeline.data import store as data_store
from pipeline.data.store import Images, Split
from stages import train

pytestmark = pytest.mark.backend
TRAINING = {"epochs": 1, "batch_size": 4, "learning_rate": 0.001}
VAE = {"family": "latent", "model": "vae", "training": TRAINING}
DENSE = {"latent": 2, "body": "dense", "widths": [4], "likelihood": "bernoulli"}
PIXELCNN = {"family": "autoregressive", "model": "pixelcnn", "training": TRAINING}
STACK = {"stack": "gated", "features": 4, "layers": 1, "kernel": 3, "likelihood": "bernoulli"}
VQVAE = {"family": "quantised", "model": "vqvae", "training": {"codes": TRAINING, "prior": TRAINING}}
CODES = {"codes": 4, "dimension": 2, "widths": [4], "residual": 0, "likelihood": "bernoulli", "prior_features": 4}
CODES |= {"prior_layers": 1}

REFUSED = {  # a run, the shape of its images, their levels, what is said
    "two strides": (VAE | {"network": DENSE | {"body": "conv", "widths": [4, 4, 4]}}, (6, 6, 1), 2, "network.widths: 3 conv"),
    "a stride": (VQVAE | {"network": CODES | {"widths": [4, 4]}}, (6, 6, 1), 2, "network.widths: 2 strides of 2 do not"),
    "grey images": (VAE | {"network": DENSE}, (4, 4, 1), 17, "network.likelihood: bernoulli is no distribution over these"),
    "real values": (VAE | {"network": DENSE}, (4, 4, 1), None, "network.likelihood: bernoulli is no distribution over these"),
    "a mass": (VAE | {"network": DENSE | {"likelihood": "normal"}}, (4, 4, 1), 2, "network.likelihood: normal is no"),
    "pixels": (PIXELCNN | {"network": STACK | {"kernel": 4}}, (4, 4, 1), 2, "network.kernel: expected an odd number, found 4"),
    "a codebook": (VQVAE | {"network": CODES | {"codes": 13}}, (4, 4, 1), 2, "network.codes: a codebook of 13 is larger than"),
    "no classes": (PIXELCNN | {"network": STACK | {"conditional": True}}, (4, 4, 1), 2, "network.conditional: these images"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_before_training(case, tmp_path, monkeypatch, rng, capsys):
    run, shape, levels, said = REFUSED[case]
    x = (
        rng.standard_normal((12, *shape)).astype("float32")
        if levels is None
        else rng.integers(0, levels, (12, *shape), "uint8")
    )
    split = Split(x)
    data_store.write(tmp_path / "data" / "d", Images(split, split, split, levels=levels), {})
    compute = {"backend": keras.backend.backend(), "threads": 2, "precision": "float32"}
    monkeypatch.setattr(params, "read", lambda: {"compute": compute, "runs": {"r": run | {"data": "d", "seeds": [0]}}})
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(store, "SCRATCH", tmp_path / ".scratch")
    monkeypatch.setattr(stages, "fingerprint", lambda: None)
    with pytest.raises(Refusal) as refused:
        train.train("r")
    assert str(refused.value).startswith(f"params.yaml: runs.r.{said}")
    assert "\n" not in str(refused.value)
    assert "epoch" not in capsys.readouterr().out
    assert not list((tmp_path / "artifacts" / "weights").iterdir())
    assert not (tmp_path / "results").exists()
