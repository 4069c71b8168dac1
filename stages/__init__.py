"""One word, one DVC stage, one script: read params, call the library, write files."""

import sys

from pipeline import Refusal


def run(stage, *arguments: str) -> None:
    """Call `stage` with the command line's names; what the user can mend becomes one line and exit code 2."""
    names = sys.argv[1:]
    if len(names) != len(arguments):
        sys.exit(f"usage: python -m stages.{stage.__name__} {' '.join(f'<{name}>' for name in arguments)}".strip())
    try:
        stage(*names)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
