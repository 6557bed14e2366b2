#!/usr/bin/env bash
# Runs unmodified stock clients against an AMQP 0-9-1 broker: run.sh [client...]
#   AMQP_URL              the broker; without it the built gateway is started here and stopped again
#   AMQPS_URL             the same over TLS, with ca.pem, guest.pem and guest.key in TLS_DIRECTORY
#   LARGE_MESSAGE_BYTES   size of the large message (20 MiB)
#   CLIENTS_LOG           directory for what the clients print beside their checks
# One line per check, then 'N passed, N failed, N skipped'. install.sh must have run.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/common.sh"
source "$CLIENTS_HOME/support/runner.sh"
clients=(amqplib cloudamqp pika aio-pika kombu celery java erlang go go-suite go-suite-1.5 bunny php-amqplib amqp-tools platform tutorials)
(($# > 0)) && clients=("$@")

if [[ -z ${AMQP_URL:-} ]]; then
  start_broker
  export AMQP_URL=amqp://guest:guest@127.0.0.1:$(cat "$BROKER_STATE/port")/%2F
  export AMQPS_URL=amqps://guest:guest@localhost:$(cat "$BROKER_STATE/tls-port")/%2F TLS_DIRECTORY=$BROKER_STATE/tls
fi

command_of() {
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

run_in_turn "${clients[@]}"
totals
