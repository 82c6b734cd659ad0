#!/usr/bin/env bash
# Installs what is missing, by apt where it may; else it names the packages and stops.
# Usage: scripts/setup.sh [build] [server] [wheels] [sources] [clients] [bench]
set -euo pipefail

server=${SERVER:-redis-server}
missing=()
# What the benchmark compares with: without one of these the rest goes on.
wished=()

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
            # The tests connect by TLS with it, and deploy/tls/pki.sh needs it.
            has openssl || missing+=(openssl)
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
        bench)
            # Debian keeps some of these out of the PATH.
            has mariadbd || [ -x /usr/sbin/mariadbd ] || wished+=(mariadb-server)
            compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wished+=(postgresql)
            [ -e /usr/share/java/zookeeper.jar ] || wished+=(zookeeperd)
            has etcd || wished+=(etcd-server)
            has etcdctl || wished+=(etcd-client)
            # The plots' font.
            compgen -G '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf' >/dev/null || wished+=(fonts-dejavu-core)
            # The clients' languages.
            has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null || wished+=(python3 python3-venv)
            has javac || wished+=(default-jdk-headless)
            has mvn || wished+=(maven)
            has go || wished+=(golang-go)
            has node || wished+=(nodejs)
            has npm || wished+=(npm)
            ;;
        *) fail "unknown task $task" ;;
    esac
done

[ $((${#missing[@]} + ${#wished[@]})) -gt 0 ] || exit 0

# What is only wished for may be missing.
without() {
    if [ ${#missing[@]} -gt 0 ]; then
        fail "$1: ${missing[*]} ${wished[*]}"
    fi
    echo "setup: $1: ${wished[*]}; the benchmark goes on without them" >&2
    exit 0
}

as_root=()
if [ "$(id -u)" != 0 ]; then
    # Without a terminal sudo could not ask for a password.
    if has sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=(sudo)
    else
        without 'packages are missing, and only root may install them'
    fi
fi
has apt-get || without 'packages are missing, and there is no apt-get here (names as in Debian)'

echo "setup: installing ${missing[*]} ${wished[*]}" >&2
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
if [ ${#wished[@]} -gt 0 ]; then
    # Installing servers must not leave a service running: the benchmark starts its own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap '"${as_root[@]}" rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
        "${as_root[@]}" chmod +x $policy
    fi
fi
updated=0
"${apt[@]}" update >&2 || updated=$?
if [ ${#missing[@]} -gt 0 ] &&
    ! { [ $updated = 0 ] && "${apt[@]}" install --yes --no-install-recommends "${missing[@]}"; } >&2; then
    fail "apt-get could not install: ${missing[*]}"
fi
# One by one, so that one that cannot be had does not stop the others.
for package in "${wished[@]}"; do
    "${apt[@]}" install --yes --no-install-recommends "$package" >&2 ||
        echo "setup: apt-get could not install $package: the benchmark goes on without it" >&2
done
