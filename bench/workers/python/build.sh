#!/bin/sh
# Makes a virtual environment with the Python clients: build.sh OUT
set -eu

if [ $# -ne 1 ] || [ -z "$1" ]; then
    echo "usage: build.sh OUT; the directory OUT gets the virtual environment" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
# A copy, so that the sources of the client stay as they are.
client=../../../clients/python
rm -rf "$out/client" "$out/worker"
mkdir "$out/client" "$out/worker"
cp -R "$client/pyproject.toml" "$client/README.md" "$client/src" "$out/client"
cp ./*.py "$out/worker"
[ -x "$out/venv/bin/python" ] || python3 -m venv "$out/venv"
"$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
# Anew each time: its version stays the same while its sources change.
exec "$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps --force-reinstall "$out/client"
