#!/bin/sh
# Makes, rotates and revokes the certificates of a server and its clients. See README.md.
# It writes only into the directory that it is given.
set -eu
umask 077

usage='usage: pki.sh init DIR | server DIR HOST... | client DIR NAME [DAYS] | users DIR
       | rotate DIR | revoke DIR NAME | reissue DIR | retire DIR'
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

fail() {
    echo "pki: $*" >&2
    exit 1
}

# Runs openssl; the last line that it says is shown if it fails.
ssl() {
    said=$(openssl "$@" 2>&1) || fail "openssl $1: $(printf '%s' "$said" | tail -n 1)"
}

# A certification authority: FILE.key and FILE.crt.
make_ca() {
    ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$1.key" -out "$1.crt"
}

# issue CA FILE CN USE SAN DAYS: FILE.key and FILE.crt, which replace the old ones only when both are made.
issue() {
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
        "extendedKeyUsage=$4" "subjectAltName=$5" >"$new/ext"
    ssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" -keyout "$new/key" -out "$new/csr"
    ssl x509 -req -in "$new/csr" -CA "$1.crt" -CAkey "$1.key" -set_serial "0x$(openssl rand -hex 16)" -days "$6" -sha256 \
        -extfile "$new/ext" -out "$new/crt"
    mv "$new/key" "$2.key"
    mv "$new/crt" "$2.crt"
}

issue_client() {
    issue "$dir/client-ca" "$dir/clients/$1" "$1" clientAuth "DNS:$1" "$2"
    echo "$2" >"$dir/clients/$1.days"
}

# A new authority for clients. Servers are to trust the old one too, until it is retired.
rotate() {
    [ ! -e "$dir/client-ca.old.crt" ] || fail 'the last rotation is not finished: run retire first'
    make_ca "$new/ca" 'lock clients'
    cat "$new/ca.crt" "$dir/client-ca.crt" >"$new/trusted"
    mv "$dir/client-ca.crt" "$dir/client-ca.old.crt"
    mv "$new/ca.key" "$dir/client-ca.key"
    mv "$new/ca.crt" "$dir/client-ca.crt"
    mv "$new/trusted" "$dir/trusted-clients.crt"
    echo 'pki: install trusted-clients.crt on the servers and reload it; then run reissue'
}

# The names of the clients that have certificates.
clients() {
    for file in "$dir"/clients/*.days; do
        [ ! -e "$file" ] || basename "$file" .days
    done
}

is_name() {
    case $1 in
        '' | .* | -* | *[!A-Za-z0-9._-]*) fail "'$1' is no name: use letters, digits, '.', '_' and '-'" ;;
    esac
}

command -v openssl >/dev/null || fail 'openssl is missing'
[ $# -ge 2 ] || fail "$usage"
command=$1 dir=$2
shift 2
case $dir in '' | -*) fail "'$dir' is no directory" ;; esac
[ "$command" = init ] || [ -e "$dir/client-ca.key" ] || fail "$dir has no authorities: run pki.sh init first"

# What is half made is in here, and removed in the end. It also keeps two runs apart.
new=$dir/new
[ "$command" != init ] || mkdir -p "$dir"
mkdir "$new" 2>/dev/null || fail "$new exists or cannot be made: another run is under way, or was killed (then remove it)"
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM

case $command/$# in
    init/0)
        [ ! -e "$dir/client-ca.key" ] || fail "$dir has authorities already"
        mkdir -p "$dir/clients"
        make_ca "$dir/server-ca" 'lock servers'
        make_ca "$dir/client-ca" 'lock clients'
        cp "$dir/client-ca.crt" "$dir/trusted-clients.crt"
        ;;
    server/0) fail 'server needs the host names or addresses that clients connect to' ;;
    server/*)
        san=
        for host; do
            case $host in
                *:* | [0-9]*.*.*.*[0-9]) san=$san,IP:$host ;;
                *)
                    is_name "$host"
                    san=$san,DNS:$host
                    ;;
            esac
        done
        issue "$dir/server-ca" "$dir/server" "$1" serverAuth "${san#,}" "${DAYS:-90}"
        ;;
    client/1 | client/2)
        days=${2:-30}
        is_name "$1"
        case $days in 0* | *[!0-9]* | ?????*) fail "'$days' is no number of days from 1 to 9999" ;; esac
        issue_client "$1" "$days"
        ;;
    users/0)
        [ ! -e "$dir/users.acl" ] || fail "$dir/users.acl exists already"
        mkdir -p "$dir/passwords"
        cp "$here/users.acl" "$new/users"
        for user in worker operator monitor admin; do
            password=$(openssl rand -hex 32)
            printf '%s' "$password" >"$dir/passwords/$user"
            hash=$(openssl dgst -sha256 -r "$dir/passwords/$user")
            sed "s/^\(user $user .*\)#HASH/\1#${hash%% *}/" "$new/users" >"$new/next"
            mv "$new/next" "$new/users"
        done
        mv "$new/users" "$dir/users.acl"
        ;;
    rotate/0) rotate ;;
    revoke/1)
        is_name "$1"
        [ -e "$dir/clients/$1.days" ] || fail "there is no client $1"
        # Nothing is removed if the last rotation is not finished.
        [ ! -e "$dir/client-ca.old.crt" ] || fail 'the last rotation is not finished: run retire first'
        # First: as long as there is no new authority, nothing is revoked.
        rotate
        rm "$dir/clients/$1.key" "$dir/clients/$1.crt" "$dir/clients/$1.days"
        echo "pki: the certificate of $1 is accepted until retire and a second reload"
        ;;
    reissue/0)
        for name in $(clients); do
            issue_client "$name" "$(cat "$dir/clients/$name.days")"
            echo "pki: new certificate: clients/$name.crt"
        done
        ;;
    retire/0)
        [ -e "$dir/client-ca.old.crt" ] || fail 'there is no old authority: run rotate or revoke first'
        for name in $(clients); do
            openssl verify -no_check_time -CAfile "$dir/client-ca.crt" "$dir/clients/$name.crt" >/dev/null 2>&1 ||
                fail "the certificate of $name is of the old authority: run reissue first"
        done
        cp "$dir/client-ca.crt" "$new/trusted"
        mv "$new/trusted" "$dir/trusted-clients.crt"
        rm "$dir/client-ca.old.crt"
        echo 'pki: install trusted-clients.crt on the servers, reload it, and close the connections that are open'
        ;;
    *) fail "$usage" ;;
esac
