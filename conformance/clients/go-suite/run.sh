#!/usr/bin/env bash
# The Go client's own integration tests, as its module has them: run.sh VERSION [all]
# Without `all` only those of the files that need a broker. Its recovery tests drop connections over
# the management interface at a fixed port: a forwarder answers there.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/common.sh"
cd "$CLIENTS_CACHE/go/suite-$1" || exit 1
files=(./*_test.go)
[[ ${2:-} == all ]] || mapfile -t files < <(grep -l '^//go:build integration' ./*_test.go)
mapfile -t names < <(sed -nE 's/^func ((Test|Example)[A-Za-z0-9_]*)\(([a-z]* \*testing\.T)?\).*/\1/p' "${files[@]}")

# Releases declare these in different ways and leave them behind.
forget() {
  local queue
  for queue in test.get-ok test.rabbitmq-message-ttl; do
    amqp-delete-queue -u "$broker" -q "$queue" >/dev/null 2>&1
  done
}
broker=$AMQP_URL
forget

server=${AMQP_URL#*@}
server=${server%%/*}
ports=$(mktemp)
node "$CLIENTS_HOME/support/front.mjs" "${server%:*}" "${server##*:}" >"$ports" &
front=$!
trap 'kill "$front" 2>/dev/null; rm -f "$ports"; forget' EXIT
for _ in $(seq 1 50); do
  [[ -s $ports ]] && break
  kill -0 "$front" 2>/dev/null || break
  sleep 0.1
done
if [[ -s $ports ]]; then
  export AMQP_URL=${AMQP_URL/$server/127.0.0.1:$(cat "$ports")}
else
  kept=()
  for name in "${names[@]}"; do
    case $name in
    TestConnectionRecovery*) echo "skip $name" ;;
    *) kept+=("$name") ;;
    esac
  done
  names=("${kept[@]}")
fi

# The recovery tests mostly sleep and use names of their own: two lanes of them run beside the rest.
lanes=('' '' '')
turn=0
for name in "${names[@]}"; do
  case $name in
  TestConnectionRecovery*) lane=$((1 + turn++ % 2)) ;;
  *) lane=0 ;;
  esac
  lanes[lane]+="${lanes[lane]:+|}$name"
done
running=()
for lane in "${lanes[@]}"; do
  [[ -n $lane ]] || continue
  ./integration.test -test.v -test.timeout 110s -test.run "^($lane)\$" 2>&1 | tee /dev/stderr |
    sed -nu -e 's/^--- PASS: \([^ /]*\) .*/ok \1/p' -e 's/^--- SKIP: \([^ /]*\) .*/skip \1/p' \
      -e 's/^--- FAIL: \([^ /]*\) \(.*\)/not ok \1: \2/p' -e 's/^\(panic: .*\)/not ok suite: \1/p' &
  running+=($!)
done
code=0
for lane in "${running[@]}"; do wait "$lane" || code=1; done
exit "$code"
