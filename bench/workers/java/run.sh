#!/bin/sh
# Runs the worker that build.sh has put into OUT: run.sh OUT
set -eu

# Of the libraries' logs only what went wrong, on stderr.
exec java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -Xss512k -jar "${1:?usage: run.sh OUT}/worker/target/worker.jar"
