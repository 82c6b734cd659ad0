#!/bin/sh
# Builds the project's Java client and the worker, one jar with every library: build.sh OUT
set -eu

if [ $# -ne 1 ] || [ -z "$1" ]; then
    echo "usage: build.sh OUT; the directory OUT gets the build" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
# Copies, so that the sources stay as they are. What Maven built before in OUT is used again.
rm -rf "$out/client/src" "$out/worker/src"
mkdir -p "$out/client/src" "$out/worker"
cp reactor.xml "$out/pom.xml"
cp ../../../clients/java/pom.xml "$out/client"
cp -R ../../../clients/java/src/main "$out/client/src"
cp -R pom.xml src "$out/worker"
cd "$out"
exec mvn --batch-mode --quiet -Dmaven.test.skip=true package
