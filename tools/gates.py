"""Every gate of every run of params.yaml, and every gain of one run over another: fails if one fails: python -m tools.gates"""

import pandas as pd

from pipeline import Refusal, params, store
from stages import run


def rows(name: str) -> list[tuple[str, str, str, bool]]:
    """Of one run, a row for each gate and seed."""
    table = pd.read_csv(store.result(name, "gates.csv"))
    return [
        (f"{name}, seed {row.seed}", row.gate, f"{row.value:.4g} {row.sign} {row.threshold:g}", bool(row.passed))
        for row in table.itertuples()
    ]


def gains() -> list[tuple[str, str, str, bool]]:
    return [
        (row.run, f"{row.number} {row.wanted} than {row.other}", f"{row.gain_nats:.3f} ± {row.se:.3f} nats", bool(row.passed))
        for row in pd.read_csv(store.GAINS).itertuples()
    ]


def gates() -> None:
    try:
        found = [each for name in params.read()["runs"] for each in rows(name)] + gains()
    except FileNotFoundError as error:
        raise Refusal(f"{error.filename}: not there yet; run `dvc repro`") from None
    for run_, gate, value, passed in found:
        print(f"{'passed' if passed else 'FAILED'}  {run_}: {gate}  ({value})")
    failed = sum(not passed for *_, passed in found)
    print(f"{len(found) - failed} of {len(found)} gates passed")
    if failed:
        raise Refusal(f"{failed} of {len(found)} gates failed")


if __name__ == "__main__":
    run(gates)
