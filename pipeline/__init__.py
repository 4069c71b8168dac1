"""Deep generative models: trained, scored and reported, every number reproducible.

>>> from pipeline import load
>>> model = load("digits-vae")
"""


class Refusal(Exception):
    """Something the user can mend. Its message is one line that names the file or key; stages print it and exit with 2."""


def load(run: str, seed: int | None = None):
    """The trained model of a run (of its first seed unless told), ready to `sample` and to score images."""
    from pipeline import store

    return store.load(run, seed)
