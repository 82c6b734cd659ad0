#!/bin/sh
# Checks the package in a virtual environment: check.sh VENV [arguments of pytest]
# LOCK_TEST_MODULE is the absolute path of the module, LOCK_TEST_SERVER the server to test with.
set -eu

if [ $# -lt 1 ]; then
    echo "usage: check.sh VENV [arguments of pytest]" >&2
    exit 2
fi
case ${LOCK_TEST_MODULE:-} in
/*) ;;
*)
    echo "check.sh: LOCK_TEST_MODULE must be the absolute path of the module's .so file, not '${LOCK_TEST_MODULE:-}'" >&2
    exit 2
    ;;
esac
venv=$1
shift
case $venv in
/*) ;;
*) venv=$PWD/$venv ;;
esac

cd "$(dirname "$0")"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test]'
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy" --strict src tests examples
exec "$venv/bin/python" -m pytest "$@"
