#!/usr/bin/env bash
# Tutorial programs, each pair a check: those of pika (python/) and amqplib's own, as published in its package,
# with their promise and callback variants. All connect to localhost:5672 and run unchanged: unless the
# broker is there, a forwarder is. When that port is somebody else's, only those of pika run, told by AMQP_PORT.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/common.sh"
server=${AMQP_URL#*@}
server=${server%%/*}
work=$(mktemp -d)
started=()
failures=0
cleanup() {
  ((${#started[@]})) && kill "${started[@]}" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

is_free=yes
if [[ ${server##*:} != 5672 ]]; then
  node "$CLIENTS_HOME/support/forward.mjs" "${server%:*}" "${server##*:}" >"$work/forward" 2>"$work/forward.err" &
  started+=($!)
  for _ in $(seq 1 50); do
    [[ -s $work/forward ]] && break
    kill -0 "${started[0]}" 2>/dev/null || { is_free=; break; }
    sleep 0.1
  done
  [[ $is_free ]] || export AMQP_HOST=${server%:*} AMQP_PORT=${server##*:}
fi

says() { # file, text: waits until the file has it
  for _ in $(seq 1 400); do
    grep -qF -- "$2" "$1" 2>/dev/null && return
    sleep 0.05
  done
  return 1
}

# pair NAME READY EXPECTED RECEIVER... -- SENDER...: starts the receiver, runs the sender, expects a line of the receiver
pair() {
  local name=$1 ready=$2 expected=$3 receiver=() out=$work/$RANDOM
  shift 3
  while [[ $1 != -- ]]; do receiver+=("$1"); shift; done
  shift
  "${receiver[@]}" >"$out" 2>&1 &
  local pid=$!
  started+=("$pid")
  if says "$out" "$ready" && timeout 20 "$@" >"$out.sender" 2>&1 && says "$out" "$expected"; then
    echo "ok $name"
  else
    failures=$((failures + 1))
    echo "not ok $name: $(cat "$out" "$out.sender" 2>/dev/null | tail -n 4 | tr '\n' ' ')"
  fi
  kill "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
}

alone() { # NAME EXPECTED COMMAND...
  local name=$1 expected=$2 output
  shift 2
  output=$(timeout 20 "$@" 2>&1)
  if grep -qF -- "$expected" <<<"$output"; then
    echo "ok $name"
  else
    failures=$((failures + 1))
    echo "not ok $name: $(tail -n 3 <<<"$output" | tr '\n' ' ')"
  fi
}

answers() { # NAME SERVER_READY EXPECTED SERVER... -- CLIENT...: like pair, but the client's output tells
  local name=$1 ready=$2 expected=$3 serving=() out=$work/$RANDOM
  shift 3
  while [[ $1 != -- ]]; do serving+=("$1"); shift; done
  shift
  "${serving[@]}" >"$out" 2>&1 &
  local pid=$!
  started+=("$pid")
  says "$out" "$ready"
  alone "$name" "$expected" "$@"
  kill "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
}

suite() { # label, directory, suffix, interpreter...
  local label=$1 at=$2 suffix=$3
  shift 3
  local run=("$@")
  pair "$label hello world" Waiting 'Hello World!' "${run[@]}" "$at/receive$suffix" -- "${run[@]}" "$at/send$suffix"
  pair "$label work queue" Waiting Done "${run[@]}" "$at/worker$suffix" -- "${run[@]}" "$at/new_task$suffix" one task
  pair "$label publish/subscribe" Waiting 'info: all' "${run[@]}" "$at/receive_logs$suffix" -- \
    "${run[@]}" "$at/emit_log$suffix" info: all
  pair "$label routing" Waiting 'error:' "${run[@]}" "$at/receive_logs_direct$suffix" warning error -- \
    "${run[@]}" "$at/emit_log_direct$suffix" error Run. Run.
  pair "$label topics" Waiting 'kern.critical:' "${run[@]}" "$at/receive_logs_topic$suffix" 'kern.*' '*.warning' -- \
    "${run[@]}" "$at/emit_log_topic$suffix" kern.critical A critical error
  answers "$label rpc" Awaiting 'Got 832040' "${run[@]}" "$at/rpc_server$suffix" -- "${run[@]}" "$at/rpc_client$suffix" 30
}

suite pika "$CLIENTS_HOME/tutorials/python" .py "$PYTHON"
alone 'pika publisher confirms' '100 messages confirmed' "$PYTHON" "$CLIENTS_HOME/tutorials/python/publisher_confirms.py"
alone 'pika publisher confirms: unroutable' 'unroutable message came back' \
  "$PYTHON" "$CLIENTS_HOME/tutorials/python/publisher_confirms.py"
if [[ $is_free ]]; then
  examples=$CLIENTS_CACHE/tutorials/node_modules/amqplib/examples
  suite amqplib "$examples/tutorials" .js node
  suite 'amqplib callbacks' "$examples/tutorials/callback_api" .js node
  alone 'amqplib publisher confirms' 'All messages done' node "$examples/waitForConfirms.js"
else
  echo 'skip amqplib tutorials: port 5672 is taken'
fi

"$PYTHON" - <<'P'
import os
import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
for queue in ("hello", "task_queue", "rpc_queue"):
    channel.queue_delete(queue)
for exchange in ("logs", "direct_logs", "topic_logs"):
    channel.exchange_delete(exchange)
connection.close()
P
((failures == 0))
