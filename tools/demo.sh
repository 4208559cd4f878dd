#!/usr/bin/env bash
# The main job on real data: two domains own products, a third reads them by grant. Every command is
# shown as it runs. --once ends at the end; otherwise the mesh stays until Ctrl-C.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SHEAF=${SHEAF:-$ROOT/build/release/cli/sheaf}
ONCE=0
case ${1:-} in
"") ;;
--once) ONCE=1 ;;
*)
    echo "usage: ./dev demo [--once]" >&2
    exit 2
    ;;
esac

IDLE=
WORK=$(mktemp -d "${TMPDIR:-/tmp}/sheaf-demo.XXXXXX")
export SHEAF_DEV_DIR=$WORK/mesh
unset SHEAF_OUTPUT
cp "$ROOT"/examples/*.csv "$ROOT"/examples/*.yaml "$WORK"
cd "$WORK"

end() {
    status=$?
    trap - EXIT INT TERM
    [ -z "$IDLE" ] || kill "$IDLE" 2>/dev/null || true
    "$SHEAF" dev stop >/dev/null 2>&1 || true
    if [ $status = 0 ] || [ $status = 130 ]; then
        rm -rf "$WORK"
    else
        echo "demo: failed; the logs are in $WORK/mesh" >&2
    fi
    exit $status
}
trap end EXIT
trap 'exit 130' INT TERM

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$'\033[1m' DIM=$'\033[2m' OFF=$'\033[0m'
else
    BOLD='' DIM='' OFF=''
fi

step() {
    printf '\n%s%s%s\n' "$BOLD" "$1" "$OFF"
    shift
    printf '%s\n' "$@"
}

# Shows a command, runs it, and expects exit status $1.
expect() {
    local want=$1 got=0
    shift
    printf '%s$ sheaf' "$DIM"
    local word
    for word in "$@"; do
        case $word in
        *" "*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$OFF"
    "$SHEAF" "$@" 2>&1 || got=$?
    if [ "$got" != "$want" ]; then
        echo "demo: exit status $got, not $want" >&2
        exit 1
    fi
}

run() {
    expect 0 "$@"
}

step "1. A mesh on this machine" \
    "A hub for the platform team, and a leaf for each of three domains: airline and geodata own" \
    "data, planning wants to use it. Each leaf has its own store, keys and nats-server."
run dev --leaf airline --leaf geodata --leaf planning -d

step "2. airline and geodata bring their contracts into force" \
    "A contract says which fields there are, what they mean and what is allowed in them. The hub" \
    "reviews it; the leaf then checks every record against it."
run product apply flights.yaml
run product apply airports.yaml

step "3. They load their data" \
    "20,000 flights and 3,376 airports. A row is acknowledged when it is on disk."
run product load flights.csv --as airline/flights
run product load airports.csv --as geodata/airports

step "4. planning sees in the catalog what there is" \
    "It may know that the products exist. Reading them is something else: exit status 5, denied."
run product ls --as planning
expect 5 read airline/flights --as planning --limit 3

step "5. planning asks, the owners decide" \
    "A decision is signed with the key of the owning domain. Neither the hub nor planning could" \
    "make one up. Of the airports planning asks for four fields, so it will see no more than those."
run access request airline/flights --as planning --purpose "delay forecast" --for 90d
run access request geodata/airports --as planning --purpose "names for codes" --for 90d \
    --columns iata,name,city,state
run access approve AR-1 --as airline --note "for the forecast"
run access approve AR-2 --as geodata
run access ls

step "6. planning reads" \
    "Its leaf asks the owner's leaf, which checks the grant and sends the granted fields only."
run read airline/flights --as planning --limit 5
run read geodata/airports --as planning --key JFK
run read geodata/airports --as planning --prefix SF --limit 5

step "7. planning follows the stream" \
    "Three more departures are loaded. They arrive once and in order; the message is signed by the" \
    "owner's leaf, and what the network loses is replayed."
head -1 flights.csv >late.csv
printf '%s\n' '2001/03/31 23:50,12,2475,JFK,LAX' '2001/03/31 23:52,-3,337,LAX,SFO' \
    '2001/03/31 23:59,41,2586,SFO,JFK' >>late.csv
"$SHEAF" sub airline/flights --as planning --since 1:20000 --count 3 >stream.ndjson &
CONSUMER=$!
run product load late.csv --as airline/flights
wait "$CONSUMER"
printf '%s$ sheaf sub airline/flights --as planning --since 1:20000 --count 3%s\n' "$DIM" "$OFF"
cat stream.ndjson

step "8. A record that breaks the contract" \
    "It is not dropped and not let in: it waits in quarantine, with the reason."
printf '%s\n' 'date,delay,distance,origin,destination' '2001/03/31 23:59,soon,2586,SFO,JFK' >bad.csv
run product load bad.csv --as airline/flights
run product quarantine ls airline/flights

step "9. airline takes the grant back" \
    "From now on planning is refused again, on every way in."
run access revoke G-1 --as airline --note "the demo is over"
expect 5 read airline/flights --as planning --limit 3

step "10. What happened is on record" \
    "The hub's event log is a chain of signed events, checked here without trusting the hub."
run audit ls
run audit verify
run status

if [ "$ONCE" = 1 ]; then
    exit 0
fi
step "The mesh goes on until Ctrl-C. In another terminal:" \
    "  export SHEAF_DEV_DIR=$SHEAF_DEV_DIR PATH=$(dirname "$SHEAF"):\$PATH" \
    "  sheaf status" \
    "  sheaf sub geodata/airports --since all"
tail -f /dev/null &
IDLE=$!
wait "$IDLE"
