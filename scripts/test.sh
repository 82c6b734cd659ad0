#!/usr/bin/env bash
# Runs every test against one server, or those that arguments of `cargo test` choose, and closes with one line of
# counts; cargo gives one a binary.
# Usage: scripts/test.sh [ARGUMENT ...]
set -uo pipefail
cd "$(dirname "$0")/.." || exit

work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
log=$work/log
export LOCK_TEST_SKIPS=$work/skips
touch "$LOCK_TEST_SKIPS"
# A snapshot that differs is a failure, and nothing else.
export INSTA_UPDATE=no

# Most of what the tests do is wait.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((3 * $(nproc)))}

"${CARGO:-cargo}" test --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

read -r passed failed ignored ended < <(
    sed -nE 's/.*test result: [^.]*\. ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored.*/\1 \2 \3/p' "$log" |
        awk '{ passed += $1; failed += $2; ignored += $3 } END { print passed + 0, failed + 0, ignored + 0, NR }'
)

# A binary that crashed has no counts, nor has a build that failed: each is a failure all the same.
if [ "$status" != 0 ]; then
    started=$(grep -cE '^ +(Running|Doc-tests) ' "$log")
    failed=$((failed + started - ended))
    [ "$failed" -gt 0 ] || failed=1
fi

# To cargo a test that does not apply to this server has passed; here it has not.
inapplicable=$(sort -u "$LOCK_TEST_SKIPS" | tee "$work/unique" | wc -l)
if [ "$inapplicable" -gt 0 ]; then
    echo
    cat "$work/unique"
fi
passed=$((passed - inapplicable))
skipped=$((ignored + inapplicable))

echo
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
