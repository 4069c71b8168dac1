#!/bin/sh
# Pins what pyproject.toml asks for, and all that it needs, for every Python and machine named there.
# A pin that still fits is kept; delete requirements*.txt first to have the newest of everything.
set -eu
cd "$(dirname "$0")/.."
uv=.scratch/uv
mkdir -p .scratch/logs

[ -x $uv/bin/uv ] || {
    python -m venv $uv
    $uv/bin/python -m pip install -q uv==0.13.8
}
pin() { # file, where its packages are listed
    file=$1
    shift
    echo "lock: $file"
    $uv/bin/uv pip compile --quiet --universal --fork-strategy fewest --generate-hashes --python-version 3.11 --no-header "$@" -o "$file"
}
pin requirements.txt pyproject.toml
pin requirements-dev.txt --group pyproject.toml:dev -c requirements.txt
pin requirements-jax.txt --group pyproject.toml:jax -c requirements.txt
pin requirements-ray.txt --group pyproject.toml:ray -c requirements.txt
