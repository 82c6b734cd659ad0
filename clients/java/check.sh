#!/usr/bin/env bash
# Builds the client and runs its tests against one server: LOCK_TEST_SERVER, default redis-server.
# Usage: LOCK_TEST_MODULE=FILE clients/java/check.sh DIRECTORY [MAVEN-ARGUMENT ...]
set -euo pipefail

if [ $# = 0 ] || [ -z "$1" ]; then
    echo "usage: LOCK_TEST_MODULE=FILE $0 DIRECTORY [MAVEN-ARGUMENT ...]; DIRECTORY gets the build" >&2
    exit 2
fi
if [ ! -f "${LOCK_TEST_MODULE:-}" ]; then
    echo "LOCK_TEST_MODULE must name the module's .so file, not \"${LOCK_TEST_MODULE:-}\"" >&2
    exit 2
fi
LOCK_TEST_MODULE=$(realpath "$LOCK_TEST_MODULE")
export LOCK_TEST_MODULE

# A copy, so that the sources stay as they are. What was built before in it is used again.
mkdir -p "$1"
build=$(realpath "$1")
shift
cd "$(dirname "$0")"
rm -rf "$build/src"
cp -R pom.xml README.md src "$build"
cd "$build"
exec mvn --batch-mode --quiet verify "$@"
