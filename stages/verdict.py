"""Fails, last and loudly, when calibration found that a claim does not hold."""

import stages
from pipeline import Refusal, store
from pipeline import verdict as claims


def verdict() -> None:
    found = store.read_json(store.CALIBRATION_RESULT)
    rows = claims.claims(found)
    text = "".join(
        f"{'holds' if row['holds'] else 'BROKEN':<8}{row['case']:<8}{row['claim']:<66}{row['found']:>10.4f}  {row['limit']}\n"
        for row in rows
    )
    print(text, end="", flush=True)
    if wrong := claims.broken(found):
        raise Refusal(f"verdict: {len(wrong)} of {len(rows)} claims about the estimators do not hold: {wrong[0]['claim']}")
    with store.writing(store.VERDICT) as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    stages.run(verdict)
