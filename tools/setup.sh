#!/bin/sh
# Makes .venv and installs the given requirements files into it, every package pinned and checked against its hash.
# Says nothing when nothing is to be done: .venv keeps a copy of each requirements file that it satisfies.
set -u
trap 'exit 130' INT TERM
cd "$(dirname "$0")/.." || exit 1
export PIP_USER=0 # whatever the user's own settings say
log=.scratch/logs/setup.log
here=$(pwd -P)

say() { echo "setup: $*"; }
refuse() { echo "setup: $*" >&2; exit 1; }

command -v git >/dev/null ||
    refuse "git is missing: install it first (Debian: apt-get install git; macOS: xcode-select --install)"
trouble=$(git rev-parse --git-dir 2>&1 >/dev/null) ||
    refuse "no usable git repository, which DVC needs: get the project by git clone (git: $(echo "$trouble" | head -n 1))"
git rev-parse -q --verify HEAD >/dev/null ||
    refuse "the git repository has no commit yet, which DVC needs: git add -A && git commit -m start"

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
suits() { case $1 in 3.11 | 3.12 | 3.13) true ;; *) false ;; esac; }

find_python() {  # runs each candidate: that a file lies on PATH does not mean that it works
    found=
    for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        version=$(version "$python") || continue
        if ! suits "$version"; then
            found="$found; $python is $version"
        elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            found="$found; $python ($version) lacks venv (Debian: apt-get install python3-venv)"
        else
            return 0
        fi
    done
    refuse "needs Python 3.11, 3.12 or 3.13, with venv: install one or name it, make PYTHON=/path/to/python3.12${found:-; found none}"
}

quietly() {  # what pip prints is read by nobody unless it fails
    "$@" >>"$log" 2>&1 && return
    tail -n 15 "$log" >&2
    [ ! -e .venv/made-in ] || rm -f .venv/unfinished # what was there before is whole still, unless pip was killed
    refuse "failed: $1 ${2-} ${3-} ... (the end of $log is above); run make again to try again"
}

mkdir -p .scratch/logs || refuse "cannot write to $here"
wrong=
if [ ! -e .venv ]; then :
elif [ -e .venv/unfinished ]; then wrong="its installation was interrupted"
elif ! suits "$(version .venv/bin/python)"; then wrong="its Python does not run, or is not 3.11, 3.12 or 3.13"
elif ! .venv/bin/python -c 'import pip' 2>/dev/null; then wrong="it has no pip"
elif [ -e .venv/made-in ] && [ "$(cat .venv/made-in)" != "$here" ]; then wrong="it was made for $(cat .venv/made-in)"
fi
if [ -n "$wrong" ]; then
    say "removing .venv: $wrong"
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    find_python
    say "making .venv with $(command -v "$python"), Python $version"
    : >"$log"
    quietly "$python" -m venv .venv
fi
for file; do
    cmp -s "$file" ".venv/$file" && continue
    say "installing $file into .venv, which may take minutes (log: $log)"
    : >.venv/unfinished
    : >"$log"
    quietly .venv/bin/python -m pip install --require-hashes -r "$file"
    cp "$file" ".venv/$file"
    echo "$here" >.venv/made-in
    rm .venv/unfinished
done
