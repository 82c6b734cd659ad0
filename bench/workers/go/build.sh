#!/bin/sh
# Builds the worker into the directory that is named.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
exec go build -trimpath -buildvcs=false -o "$out/worker" .
