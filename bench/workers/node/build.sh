#!/bin/sh
# Installs the worker into the directory that is named.
set -eu
mkdir -p "$1"
cp "$(dirname "$0")"/*.mjs "$(dirname "$0")"/package*.json "$1"
cd "$1"
exec npm ci --engine-strict --ignore-scripts --no-audit --no-fund
