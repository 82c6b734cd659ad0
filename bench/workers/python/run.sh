#!/bin/sh
# Runs the worker that build.sh has put into OUT: run.sh OUT
set -eu

ulimit -n "$(ulimit -H -n)" # a connection for each of a thousand clients
exec "${1:?usage: run.sh OUT}/venv/bin/python" "$1/worker/worker.py"
