"""What large data would take, reckoned from inputs that are shown: python -m tools.scaling. `make docs` has it in a page."""

from dataclasses import dataclass

from pipeline.params import ROOT

PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- reckoned -->", "<!-- end of what is reckoned -->"
IMAGE = 32 * 32 * 3  # bytes
PARAMETERS = 6_976_819
CHECKPOINT = 4 * PARAMETERS * 4  # weights, two moments of Adam, the best weights so far, of four bytes each
TILE = 64  # images of a part of an estimate, at most
COUNTED = {"codes": 2_118_647_808, "prior": 2_268_659_712, "draw": 756_219_904}  # multiply-adds; tests/test_full_size.py
INPUTS = {  # value, unit, where from
    "step": (COUNTED["codes"] + COUNTED["prior"], "multiply-adds an image", "cifar10-vqvae, both phases, pipeline/cost.py"),
    "draw": (COUNTED["draw"], "multiply-adds an image", "the same, one draw of an estimate"),
    "draws": (200, "of an image", "profiles/cifar10"),
    "parameters": (PARAMETERS, "of float32", "cifar10-vqvae"),
    "peak": (312e12, "flop/s of a GPU", "data sheet of an A100, bfloat16"),
    "peak32": (19.5e12, "flop/s of a GPU", "the same sheet, float32, in which likelihoods are"),
    "share": (0.3, "of the peak", "assumed; nothing was measured on a GPU"),
    "price": (2.0, "USD a GPU-hour", "assumed"),
    "gpus": (64, "GPUs, one a worker", "assumed"),
    "network": (1_250_000_000, "bytes/s into a node", "assumed: 10 Gbit/s"),
    "hash": (500_000_000, "bytes/s of MD5", "measured on 2 cores: 0.4 to 0.6"),
}
VALUE = {name: value for name, (value, _, _) in INPUTS.items()}


@dataclass(frozen=True)
class Plan:
    name: str
    train: int  # images
    test: int
    epochs: int

    def figures(self) -> dict[str, str]:
        v, images = VALUE, self.train + self.test
        training = self.train * self.epochs * v["step"] * 2 / (v["peak"] * v["share"]) / 3600
        estimate = self.test * v["draws"] * v["draw"] * 2 / (v["peak32"] * v["share"]) / 3600
        size = images * IMAGE
        parts = -(-self.test // TILE)
        return {
            "training images, test images, epochs": f"{self.train:,}, {self.test:,}, {self.epochs}",
            "data": amount(size),
            "training, one GPU": time(training),
            "estimate of every test image, one GPU": time(estimate),
            f"the estimate on {v['gpus']} GPUs": time(estimate / v["gpus"]),
            "cost of both": f"{(training + estimate) * v['price']:,.0f} USD",
            "hashing the data once": time(size / v["hash"] / 3600),
            "data through the object store": f"{amount(size)} put, {amount(size * v['gpus'])} received by {v['gpus']} workers",
            "until a worker has its copy": time(size / v["network"] / 3600),
            "a checkpoint to the board": amount(CHECKPOINT),
            "parts of an estimate": f"{parts:,} files of {amount(TILE * 15 * 8)} or so in one folder",
        }


def amount(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000 or unit == "PB":
            return f"{size:.3g} {unit}"
        size /= 1000


def time(hours: float) -> str:
    for unit, length in (("years", 8766), ("days", 24), ("hours", 1), ("minutes", 1 / 60)):
        if hours >= 2 * length:
            return f"{hours / length:,.3g} {unit}"
    return f"{hours * 3600:.2g} seconds"


PLANS = (Plan("ImageNet-32", 1_281_167, 50_000, 30), Plan("a billion images", 1_000_000_000, 1_000_000, 1))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def reckoned() -> str:
    given = [
        (name, f"{value:,}" if value < 1e10 else f"{value:.3g}", unit, where) for name, (value, unit, where) in INPUTS.items()
    ]
    found = [plan.figures() for plan in PLANS]
    rows = [(what, *(each[what] for each in found)) for what in found[0]]
    return "\n\n".join([table(("input", "value", "unit", "from"), given), table(("", *(plan.name for plan in PLANS)), rows)])


def page() -> str:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{reckoned()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    print(reckoned())
