"""Files made with a model's probabilities: they open again, and are as long as the model says."""

import constriction
import models as small
import numpy as np
import pytest
from scipy.stats import norm

from pipeline import coding, models
from pipeline.base import generator
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend
VAE = {"latent": 3, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
PIXELCNN = {"stack": "gated", "features": 8, "layers": 1, "kernel": 3, "likelihood": "bernoulli"}
BINARY, COLOUR = ({"shape": [4, 4, c], "levels": levels, "classes": None} for c, levels in ((1, 2), (3, 4)))


def model(kind="vae", spec=BINARY, **network):
    family, common = {"vae": ("latent", VAE), "pixelcnn": ("autoregressive", PIXELCNN)}[kind]
    made = small.perturbed(models.build(family, kind, spec, common | network, 0), 0, 0.3)
    if kind == "vae":  # codes are near the prior once it is trained: far out, cells of equal mass are wide
        for weight in made.encoder.layers[-1].weights:
            weight.assign(0.2 * np.asarray(weight))
    return made


def test_symbols_come_back_and_cost_what_their_tables_say(rng):
    tables, coder = rng.dirichlet(np.full(7, 0.5), 2000), constriction.stream.stack.AnsCoder()
    symbols = np.array([rng.choice(7, p=table) for table in tables])
    coding.put(coder, symbols, tables)
    told = -np.log2(tables[np.arange(2000), symbols]).sum()
    assert abs(coder.num_valid_bits() - told) < 40
    np.testing.assert_array_equal(coding.take(coder, tables), symbols)
    assert coder.is_empty()


def test_what_a_table_calls_impossible_is_dear_and_comes_back():
    coder, tables = constriction.stream.stack.AnsCoder(), np.tile([1.0, 0.0], (50, 1))
    coding.put(coder, np.ones(50, int), tables)
    assert coder.num_valid_bits() == pytest.approx(50 * 24, abs=40)
    assert coding.take(coder, tables).all()


def test_cells_have_the_mass_of_the_posterior_in_both_tails():
    mean, log_var = np.array([0.3, 6.0, -6.0]), np.array([-2.0, -0.5, -0.5])
    found = coding.cells({"mean": mean[None], "log_var": log_var[None]})
    assert found.shape == (3, coding.BUCKETS)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(found[1], found[2, ::-1], rtol=1e-9)
    half = norm(0.3, np.exp(-1.0)).cdf(0.0)
    assert found[0, : coding.BUCKETS // 2].sum() == pytest.approx(half, rel=1e-9)
    np.testing.assert_allclose(coding.cells({"mean": np.zeros((1, 1)), "log_var": np.zeros((1, 1))}), 1 / coding.BUCKETS)


@pytest.mark.parametrize(
    ("spec", "network"),
    [(BINARY, {}), (BINARY, {"likelihood": "categorical"}), (COLOUR, {"likelihood": "categorical", "body": "conv"})],
    ids=["bernoulli", "categorical", "colour"],
)
def test_bits_back_is_as_long_as_the_bound(spec, network):
    made = model(spec=spec, **network)
    x = small.images(made, 60)
    found = coding.bits_back(made, x)
    assert found["images"] == 60
    assert found["net"] == pytest.approx(found["one"], rel=2e-3)
    assert abs(found["net"] - found["bound"]) < 4 * found["bound_se"]
    assert found["bound_se"] < 0.1 * found["bound"]
    assert 0 < found["lent"] < 3 * 24


def test_codes_are_fairly_drawn_where_all_of_them_are_alike():
    """Every q is the same narrow one: without a random number for each image, z would be made of the bits of the z before."""
    made = model()
    bias = np.concatenate([np.full(3, 1.5), np.full(3, -3.0)])
    for weight, value in zip(made.encoder.layers[-1].weights, (0.0, bias), strict=True):
        weight.assign(np.broadcast_to(value, weight.shape))
    stream = coding.BitsBack(made, np.random.default_rng(0).integers(0, 2**32, 64, dtype="uint32"))
    z = np.stack([stream.encode(each) for each in small.images(made, 400)])
    apart = (z - 1.5) / np.exp(-1.5)
    assert np.abs(apart.mean(axis=0)).max() < 4 / 20
    assert np.abs(apart.std(axis=0) - 1).max() < 4 / np.sqrt(2) / 20
    assert np.abs((apart[1:] * apart[:-1]).mean(axis=0)).max() < 4 / 20  # nor do they follow from each other


def test_the_bound_is_the_mean_log_weight_in_bits():
    made = model()
    x = small.images(made, 20)
    terms = made.terms(np.tile(x, (500, 1, 1, 1)), made.eps(10_000, np.random.default_rng(0)))
    expected = 20 * np.asarray(terms["loss"], float).mean() / np.log(2)
    found = coding.bits_back(made, x)
    assert abs(found["bound"] - expected) < 4 * found["bound_se"] / np.sqrt(coding.DRAWS)


def test_the_first_image_lends_what_its_code_costs():
    made = model()
    x = small.images(made, 2)
    stream = coding.BitsBack(made, generator(0, "lent").integers(0, 2**32, coding.LENT, dtype="uint32"))
    index = np.searchsorted(coding.EDGES, stream.encode(x[0])) - 1
    told = -np.log2(coding.cells(stream.posterior(x[:1]))[np.arange(3), index]).sum()
    assert coding.bits_back(made, x)["lent"] == pytest.approx(told, abs=1.5)


def test_a_decoder_that_is_asked_otherwise_finds_nothing():
    """One code off by the least that float32 can tell would do; this is more, so that it is sure."""
    made = model()
    x = small.images(made, 20)
    plain, calls = coding.BitsBack.pixels, []

    def pixels(stream, index):
        calls.append(index)
        return plain(stream, index) + (0.01 if len(calls) > len(x) else 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coding.BitsBack, "pixels", pixels)
        assert coding.bits_back(made, x)["images"] == 0
    assert coding.bits_back(made, x)["images"] == 20


@pytest.mark.parametrize(
    "network", [{}, {"stack": "plain"}, {"likelihood": "categorical"}], ids=["gated", "plain", "categorical"]
)
def test_pixels_come_back_and_cost_what_the_model_says(network):
    made = model("pixelcnn", **network)
    x = small.images(made, 60)
    found = coding.pixel_by_pixel(made, x)
    assert found["images"] == 60
    assert found["net"] == pytest.approx(found["nll"], abs=40)
    assert found["nll"] == pytest.approx(-np.asarray(made.log_prob(x), float).sum() / np.log(2), rel=1e-5)
    told = np.stack(
        [table[np.arange(60), x[:, i, j, 0]] for (i, j), table in coding.conditionals(coding.told(made), x)], axis=1
    )
    np.testing.assert_allclose(np.log(told), np.asarray(made.log_probs(x)).reshape(60, -1), rtol=1e-4, atol=1e-5)


def gates(made):
    x = Split(small.images(made, 300))
    return made.gates(Images(x, x, x, levels=made.spec.levels))


@pytest.mark.parametrize("kind", ["vae", "pixelcnn"])
def test_gates_are_passed_and_say_how_many_images_there_were(kind):
    rows = gates(model(kind))
    assert all(row["passed"] for row in rows)
    assert (rows[0]["value"], rows[0]["threshold"]) == (300, 300)


def test_no_gate_where_a_number_has_no_table_of_its_own():
    classes = BINARY | {"classes": 3}
    assert gates(model(likelihood="discretised-normal")) == []
    assert gates(model("pixelcnn", spec=COLOUR, likelihood="categorical")) == []
    assert gates(model("pixelcnn", spec=classes, conditional=True)) == []
    assert gates(model("pixelcnn", spec=BINARY | {"shape": [16, 16, 1]})) == []
