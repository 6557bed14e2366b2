#!/usr/bin/env bash
# Runs unmodified MQTT clients against a broker: run.sh [client...]
#   MQTT_URL     the broker; without it the built gateway is started here and stopped again
#   MQTTS_URL    the same over TLS, with ca.pem in TLS_DIRECTORY
#   MQTT_WS_URL  the same over WebSocket, path included
#   MQTT_OPEN=1  the broker takes any password
#   CLIENTS_LOG  directory for what the clients print beside their checks
# One line per check, then 'N passed, N failed, N skipped'. install.sh must have run.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
clients=(mqtt-js paho-python paho-java hivemq-java mosquitto-tools)
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

port_of() { cat "$BROKER_STATE/port-$1"; }

if [[ -z ${MQTT_URL:-} ]]; then
  export BROKER_STATE=$work/broker RESTART_COMMAND=$broker
  mkdir -p "$BROKER_STATE"
  definitions=$MQTT_HOME/definitions.json
  export BROKER_ARGS="--host 127.0.0.1 --mqtt-port 0 --mqtts-port 0 --http-port 0 --load-definitions $definitions"
  "$broker" start || exit 1
  # A restart keeps the ports.
  BROKER_ARGS="--host 127.0.0.1 --mqtt-port $(port_of mqtt) --mqtts-port $(port_of mqtts) --http-port $(port_of http)"
  export MQTT_URL=mqtt://guest:guest@127.0.0.1:$(port_of mqtt)
  export MQTTS_URL=mqtts://guest:guest@127.0.0.1:$(port_of mqtts) TLS_DIRECTORY=$BROKER_STATE/tls
  export MQTT_WS_URL=ws://guest:guest@127.0.0.1:$(port_of http)/mqtt
  export MQTT_LIMITED_USER=limited:secret:allowed
fi

# The command of a client and its limit in seconds.
command_of() {
  limit=120
  case $1 in
  mqtt-js) command=(node "$MQTT_HOME/js/mqtt-checks.mjs") ;;
  paho-python) command=("$MQTT_PYTHON" "$MQTT_HOME/python/paho_checks.py") ;;
  paho-java) command=(java -cp "$MQTT_CLASSPATH" PahoChecks) ;;
  hivemq-java) command=(java -cp "$MQTT_CLASSPATH" HiveMqChecks) ;;
  mosquitto-tools) command=(bash "$MQTT_HOME/tools/mosquitto-tools.sh") ;;
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
  echo "# $client: $((SECONDS - started)) s"
done
if ((skipped > 0)); then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
((failed == 0))
