#!/bin/sh
# Runs the worker that build.sh left in the directory that is named.
exec node "$1/main.mjs"
