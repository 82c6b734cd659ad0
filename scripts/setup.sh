#!/usr/bin/env bash
# Installs what is missing, by apt where it may; else it names the packages and stops.
# Usage: scripts/setup.sh [build] [server] [wheels] [sources] [clients]
set -euo pipefail

server=${SERVER:-redis-server}
missing=()

fail() {
    echo "setup: $*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null
}

# The headers come with the -dev package only, so the library alone (libclang.so.1) won't do.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang.so' >/dev/null ||
        compgen -G '/usr/lib*/libclang.so' >/dev/null
}

for task in "$@"; do
    case $task in
        build)
            has "${CARGO:-cargo}" || fail 'cargo is missing: install Rust 1.88 or newer, by rustup for instance'
            has cc || missing+=(gcc libc6-dev)
            has_libclang || missing+=(libclang-dev)
            ;;
        server)
            if ! has "$server"; then
                [ "$server" = redis-server ] || fail "there is no server program $server"
                missing+=(redis-server)
            fi
            has redis-cli || missing+=(redis-tools)
            ;;
        wheels)
            if ! has python3; then
                missing+=(python3 python3-pip)
            elif ! python3 -m pip --version >/dev/null 2>&1; then
                missing+=(python3-pip)
            fi
            ;;
        sources)
            # Servers are built with gcc, which brings AddressSanitizer along.
            has g++ || missing+=(g++)
            has make || missing+=(make)
            has xz || missing+=(xz-utils)
            ;;
        clients)
            if ! has python3 || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
                missing+=(python3 python3-venv)
            fi
            has javac || missing+=(default-jdk-headless)
            has mvn || missing+=(maven)
            ;;
        *) fail "unknown task $task" ;;
    esac
done

[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
    # Without a terminal sudo could not ask for a password.
    if has sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=(sudo)
    else
        fail "packages are missing, and only root may install them: ${missing[*]}"
    fi
fi
has apt-get || fail "packages are missing, and there is no apt-get here (names as in Debian): ${missing[*]}"

echo "setup: installing ${missing[*]}" >&2
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
if ! { "${apt[@]}" update && "${apt[@]}" install --yes --no-install-recommends "${missing[@]}"; } >&2; then
    fail "apt-get could not install: ${missing[*]}"
fi
