#!/usr/bin/env bash
# The gateway under test, owned by the runner: broker.sh start|stop|restart.
# BROKER_STATE is a directory with its data, log, pid and port; a restart keeps data and port.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
main=${BROKER_MAIN:-$REPOSITORY/dist/src/main.js}
state=${BROKER_STATE:?the runner sets BROKER_STATE}

ready_port() { # from the JSON log line that says the gateway is ready
  node -e '
    const { readFileSync } = require("node:fs");
    for (const line of readFileSync(process.argv[1], "utf8").split("\n")) {
      let entry;
      try { entry = JSON.parse(line); } catch { continue; }
      if (entry.msg !== "ready") continue;
      const gates = entry.listeners ?? entry.gates ?? [entry];
      const list = Array.isArray(gates) ? gates : Object.entries(gates).map(([protocol, gate]) =>
        typeof gate === "object" ? { protocol, ...gate } : { protocol, port: gate });
      const gate = list.find((one) => /^amqp$/.test(one.protocol ?? one.name ?? one.kind ?? "")) ?? list[0];
      console.log(gate.port ?? gate.amqpPort ?? gate.address?.port);
      process.exit(0);
    }
    process.exit(1);' "$1"
}

start() {
  local log=$state/log.$(date +%s%N) port
  port=$(cat "$state/port" 2>/dev/null || echo 0)
  setsid env -u TRIBUTARY_CLIENTS_CACHE node "$main" --data-dir "$state/data" --amqp-port "$port" >"$log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$state/pid"
  for _ in $(seq 1 200); do
    if port=$(ready_port "$log"); then
      echo "$port" >"$state/port"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$log" >&2
  echo "broker.sh: the gateway is not ready" >&2
  exit 1
}

stop() {
  local pid
  pid=$(cat "$state/pid" 2>/dev/null) || return 0
  rm -f "$state/pid"
  kill -TERM "$pid" 2>/dev/null || return 0
  for _ in $(seq 1 100); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

case ${1:-} in
start) start ;;
stop) stop ;;
restart) stop && start ;;
*) echo "usage: broker.sh start|stop|restart" >&2; exit 2 ;;
esac
