#!/usr/bin/env bash
# Builds servers with AddressSanitizer, and runs on each the tests in which a server's memory is most at
# risk: there a read of freed memory ends the server at once. `make storm-asan` sets the variables.
#
# With WHOLE=1 it runs the whole suite, and each server that ends must have lost no memory. `make test-asan` does that.
#
# Arguments: names from tests/asan.tsv, whose sources it gets from Debian; or folders with the sources of
# other servers. None means every name.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

table=tests/asan.tsv
built=$(realpath -m "${TARGET:-target}/asan")
tests=(storm:: walks:: hostile::)
leaks=0
if [ "${WHOLE:-}" = 1 ]; then
    tests=()
    leaks=1
fi

fail() {
    echo "asan: $*" >&2
    exit 1
}

apt() {
    apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::SourceList="$built/apt/sources.list" \
        -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$built/apt/lists" \
        -o Dir::Cache="$built/apt/cache" "$@"
}

# Where this machine gets Debian's packages.
mirror() {
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" { print $2; exit }'
}

# Fetches the sources of a package into a folder.
fetch() { # FOLDER PACKAGE SUITE
    local into=$1 package=$2 suite=$3 uri
    uri=$(mirror)
    [ -n "$uri" ] || return 1
    mkdir -p "$built/apt/lists/partial" "$built/apt/cache/archives/partial" "$into.download"
    echo "deb-src $uri $suite main" >"$built/apt/sources.list"
    # Debian's own changes to the sources are not needed.
    apt update && (cd "$into.download" && apt source --download-only --tar-only "$package/$suite") || return 1
    mkdir -p "$into" && tar xf "$into".download/*.orig.tar.* --strip-components=1 -C "$into" &&
        rm -r "$into.download"
}

# Builds a server where that was not done yet.
build() { # FOLDER PROGRAM
    local folder=$1 program=$2
    [ ! -e "$folder/src/.built" ] || return 0
    echo "asan: building $program in $folder, its output is in build.log there"
    nice make -C "$folder/src" -j"$(nproc)" "$program" MALLOC=libc SANITIZER=address OPTIMIZATION=-O1 \
        BUILD_TLS=no >"$folder/build.log" 2>&1 && touch "$folder/src/.built"
}

has_failed=0
passed=0
failed=0
skipped=0
lines=()

run() { # NAME SERVER
    local name=$1 server=$2 log=$built/$1.log skips=$built/$1.skips version
    version=$("$server" --version | sed -E 's/^(\w+) server v=([^ ]+) .*/\1 \2/')
    echo "asan: testing $name ($version), full output in $log"
    : >"$skips"
    LOCK_TEST_SERVER=$server ASAN_OPTIONS=detect_leaks=$leaks:detect_odr_violation=0 \
        LOCK_TEST_SKIPS=$skips LOCK_TEST_STORM_SECONDS=${LOCK_TEST_STORM_SECONDS:-60} \
        "${CARGO:-cargo}" test --test suite -- "${tests[@]}" >"$log" 2>&1 || {
        has_failed=1
        # What led to it, without the test's own backtrace.
        grep -vE '^ +([0-9]+: |at )' "$log" | tail -n 300
    }
    local counts
    counts=$(sed -nE 's/^test result: [^.]*\. ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' "$log")
    read -r here_passed here_failed <<<"${counts:-0 1}"
    # To cargo a test that does not apply to this server has passed; here it has not.
    here_skipped=$(sort -u "$skips" | wc -l)
    here_passed=$((here_passed - here_skipped))
    passed=$((passed + here_passed)) failed=$((failed + here_failed)) skipped=$((skipped + here_skipped))
    lines+=("$name ($version): $here_passed passed, $here_failed failed, $here_skipped skipped")
}

[ $# -gt 0 ] || mapfile -t names < <(awk -F '\t' 'NR > 1 { print $1 }' "$table")
mkdir -p "$built"
for name in "${@:-${names[@]}}"; do
    if [ -d "$name/src" ]; then
        folder=$(realpath "$name")
        name=$(basename "$folder")
        program=$([ -e "$folder/src/valkey-cli.c" ] && echo valkey-server || echo redis-server)
    else
        read -r package suite program < <(awk -F '\t' -v name="$name" '$1 == name { print $2, $3, $4 }' "$table")
        [ -n "${program:-}" ] || fail "$name is neither in $table nor a folder with a server's sources"
        folder=$built/$name
        if [ ! -d "$folder/src" ] && ! fetch "$folder" "$package" "$suite"; then
            lines+=("$name: skipped: its sources cannot be had here")
            [[ " ${REQUIRE:-} " != *" $name "* ]] || has_failed=1
            continue
        fi
    fi
    build "$folder" "$program" || fail "$program was not built: see $folder/build.log"
    run "$name" "$folder/src/$program"
done

printf '\n'
printf '%s\n' "${lines[@]}"
printf '\n%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[ "$has_failed" = 0 ] && [ "$failed" = 0 ]
