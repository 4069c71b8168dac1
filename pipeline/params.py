"""Reads params.yaml the way DVC does: YAML 1.2, where 1e-3 is a number and a key may stand only once."""

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline import Refusal

ROOT = Path(__file__).resolve().parents[1]


def read(path: Path = ROOT / "params.yaml") -> dict:
    try:
        params = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusal(f"{path.name}: there is no such file in {path.parent}") from None
    except MarkedYAMLError as error:
        raise Refusal(f"{path.name}: line {error.problem_mark.line + 1}: {error.problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:  # not UTF-8, no such date, numbers or nesting without end
        raise Refusal(f"{path.name}: {' '.join(str(error).split())}") from None
    if not isinstance(params, dict):
        raise Refusal(f"{path.name}: expected a mapping of sections, found {type(params).__name__}")
    return params


def block(params: dict, section: str, name: str) -> dict:
    """params[section][name], for a name that comes from the command line."""
    if name not in params[section]:
        raise Refusal(f"params.yaml: {section} has no {name}")
    return params[section][name]
