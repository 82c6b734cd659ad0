#!/usr/bin/env bash
# Builds the module and starts a server with it in the foreground. `make run` sets the variables.
set -euo pipefail

fail() {
    echo "run: $*" >&2
    exit 1
}

listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}

# It listens before it has loaded the module, and answers after.
answers() {
    local reply
    {
        exec 3<>"/dev/tcp/127.0.0.1/$PORT" && printf 'PING\r\n' >&3 && read -r -t 5 reply <&3
    } 2>/dev/null && [[ $reply == +PONG* ]]
}

if ! [[ $PORT =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65535 ]]; then
    fail "PORT is a number from 1 to 65535, not '$PORT'"
fi
! listens || fail "port $PORT is taken: stop what listens there, or choose another one: make run PORT=6380"

# After what takes no time: nobody should wait for a build to learn of a wrong PORT.
scripts/setup.sh build server
"$CARGO" build --release

# Of its own and empty: a dump that another version left would keep the server from starting.
folder=$TARGET/run/$PORT
rm -rf "$folder"
mkdir -p "$folder"

# Said once the server answers, or its own start-up lines would scroll it away. The subshell in
# between makes it nobody's child: the server takes this process over, and knows of no child.
pid=$$
(
    {
        until (answers); do
            kill -0 "$pid" 2>/dev/null || exit 0
            sleep 0.1
        done
        cat <<LINES

The module is loaded; Ctrl-C stops the server. In another terminal:

  redis-cli -p $PORT LOCK.ACQUIRE lock:orders worker-1 30000
  redis-cli -p $PORT LOCK.INFO lock:orders
  redis-cli -p $PORT LOCK.RELEASE lock:orders worker-1

LINES
    } &
)

exec "$SERVER" --port "$PORT" --bind 127.0.0.1 --save '' --appendonly no \
    --dir "$folder" --loadmodule "$(realpath "$MODULE")"
