#!/usr/bin/env bash
# Runs unmodified stock clients against an AMQP 0-9-1 broker: run.sh [client...]
#   AMQP_URL              the broker; without it the built gateway is started here and stopped again
#   AMQPS_URL             the same over TLS, with ca.pem, guest.pem and guest.key in TLS_DIRECTORY
#   LARGE_MESSAGE_BYTES   size of the large message (20 MiB)
#   CLIENTS_LOG           directory for what the clients print beside their checks
# One line per check, then 'N passed, N failed, N skipped'. install.sh must have run.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/common.sh"
clients=(amqplib cloudamqp pika aio-pika kombu celery java erlang go go-suite go-suite-1.5 bunny php-amqplib amqp-tools platform tutorials)
(($# > 0)) && clients=("$@")
work=$(mktemp -d)
logs=${CLIENTS_LOG:-$work}
mkdir -p "$logs"
passed=0 failed=0 skipped=0
broker=$CLIENTS_HOME/support/broker.sh

cleanup() {
  [[ -n ${BROKER_STATE:-} ]] && "$broker" stop
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [[ -z ${AMQP_URL:-} ]]; then
  export BROKER_STATE=$work/broker RESTART_COMMAND=$broker
  mkdir -p "$BROKER_STATE"
  "$broker" start || exit 1
  export AMQP_URL=amqp://guest:guest@127.0.0.1:$(cat "$BROKER_STATE/port")/%2F
  export AMQPS_URL=amqps://guest:guest@localhost:$(cat "$BROKER_STATE/tls-port")/%2F TLS_DIRECTORY=$BROKER_STATE/tls
fi

# The command of a client and its limit in seconds.
limit=60
command_of() {
  limit=60
  case $1 in
  amqplib) command=(bash -c 'node "$0/amqplib-promise.mjs"; a=$?; node "$0/amqplib-callback.mjs" && exit $a' "$CLIENTS_HOME/js") ;;
  cloudamqp) command=(node "$CLIENTS_HOME/js/cloudamqp.mjs") ;;
  pika) command=("$PYTHON" "$CLIENTS_HOME/python/pika_checks.py") ;;
  aio-pika) command=("$PYTHON" "$CLIENTS_HOME/python/aio_pika_checks.py") ;;
  kombu) command=("$PYTHON" "$CLIENTS_HOME/python/kombu_checks.py") ;;
  celery) command=("$PYTHON" "$CLIENTS_HOME/python/celery_checks.py"); limit=90 ;;
  java) command=(java -cp "$JAVA_CLASSPATH" ClientChecks) ;;
  erlang) command=(bash "$CLIENTS_HOME/erlang/run.sh" client_checks) ;;
  go) command=("$CLIENTS_CACHE/go/checks") ;;
  go-suite) command=(bash "$CLIENTS_HOME/go-suite/run.sh" v1.16.0); limit=150 ;;
  go-suite-1.5) command=(bash "$CLIENTS_HOME/go-suite/run.sh" v1.5.0 all); limit=150 ;;
  bunny) command=(ruby "$CLIENTS_HOME/ruby/bunny_checks.rb") ;;
  php-amqplib) command=(php "$CLIENTS_HOME/php/php_amqplib_checks.php") ;;
  amqp-tools) command=(bash "$CLIENTS_HOME/c/amqp-tools.sh") ;;
  platform) command=(bash "$CLIENTS_HOME/platform/run.sh") ;;
  tutorials) command=(bash "$CLIENTS_HOME/tutorials/run.sh") ;;
  *) return 1 ;;
  esac
}

verdict() { # client, exit code: counts and prints the lines of its output
  local client=$1 code=$2 line checks=0 bad=0
  while IFS= read -r line; do
    case $line in
    'ok '*) passed=$((passed + 1)) checks=$((checks + 1)); echo "ok $client: ${line#ok }" ;;
    'not ok '*) failed=$((failed + 1)) bad=1; echo "not ok $client: ${line#not ok }" ;;
    'skip '*) skipped=$((skipped + 1)); echo "skip $client: ${line#skip }" ;;
    esac
  done <"$logs/$client.out"
  if ((bad == 0)) && ((code != 0 || checks == 0)); then
    failed=$((failed + 1))
    echo "not ok $client: ended with code $code after $checks checks: $(tail -n 1 "$logs/$client.err" | cut -c1-200)"
  fi
}

for client in "${clients[@]}"; do
  command_of "$client" || { echo "run.sh: unknown client $client" >&2; exit 2; }
  started=$SECONDS
  timeout -k 5 "$limit" "${command[@]}" >"$logs/$client.out" 2>"$logs/$client.err" </dev/null
  verdict "$client" $?
  if [[ -n ${BROKER_STATE:-} ]] && ! "$broker" alive; then
    failed=$((failed + 1))
    echo "not ok $client: it left the gateway dead: $(cat "$BROKER_STATE"/log.* | grep -v '"level":"info"' | tail -n 3 | cut -c1-600)"
    "$broker" start || break
  fi
  echo "# $client: $((SECONDS - started)) s"
done
if ((skipped > 0)); then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
((failed == 0))
