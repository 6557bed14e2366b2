#!/usr/bin/env bash
# The gateway under test, owned by the runner: broker.sh start|stop|restart|alive.
# BROKER_STATE is a directory with its data, log, certificates, pid and ports; a restart keeps all but the pid.
# BROKER_ARGS are arguments more, separated by spaces.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
main=${BROKER_MAIN:-$REPOSITORY/dist/src/main.js}
state=${BROKER_STATE:?the runner sets BROKER_STATE}

ready_ports() { # writes port and tls-port from the JSON log line that says the gateway is ready
  node -e '
    const { readFileSync, writeFileSync } = require("node:fs");
    const [log, state] = process.argv.slice(1);
    const line = readFileSync(log, "utf8").split("\n").find((one) => one.includes("\"msg\":\"ready\""));
    if (line === undefined) process.exit(1);
    const { listeners } = JSON.parse(line);
    const port = (protocol) => String(listeners.find((one) => one.protocol === protocol)?.port ?? "");
    writeFileSync(`${state}/port`, port("amqp"));
    writeFileSync(`${state}/tls-port`, port("amqps"));
    for (const { protocol, port } of listeners) writeFileSync(`${state}/port-${protocol.replace("/", "-")}`, `${port}`);' "$1" "$state"
}

# A short-lived authority, a server certificate for localhost and a client certificate for guest.
certificates() {
  local tls=$state/tls
  [[ -e $tls/guest.pem ]] && return
  mkdir -p "$tls"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=conformance-authority \
    -keyout "$tls/ca.key" -out "$tls/ca.pem" 2>/dev/null
  local name
  for name in server guest; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout "$tls/$name.key" -out "$tls/$name.csr" 2>/dev/null
    openssl x509 -req -days 2 -in "$tls/$name.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial \
      -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) -out "$tls/$name.pem" 2>/dev/null
  done
}

# A port below those that the system gives to outgoing connections: it is still free after a restart.
free_port() {
  local port
  while true; do
    port=$((10000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

start() {
  local log=$state/log.$(date +%s%N) tls=$state/tls
  certificates
  setsid env -u TRIBUTARY_CLIENTS_CACHE node "$main" --data-dir "$state/data" \
    --amqp-port "$(cat "$state/port" 2>/dev/null || free_port)" \
    --mqtt-port off --stomp-port off --http-port off \
    --amqps-port "$(cat "$state/tls-port" 2>/dev/null || free_port)" \
    --tls-cert "$tls/server.pem" --tls-key "$tls/server.key" --tls-ca "$tls/ca.pem" \
    --tls-client-certificate optional --tls-client-name common-name \
    --auth-mechanisms PLAIN,AMQPLAIN,EXTERNAL ${BROKER_ARGS:-} >"$log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$state/pid"
  for _ in $(seq 1 200); do
    ready_ports "$log" && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  cp "$log" "$state/failed.log"
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
alive) kill -0 "$(cat "$state/pid" 2>/dev/null)" 2>/dev/null ;;
*) echo "usage: broker.sh start|stop|restart|alive" >&2; exit 2 ;;
esac
