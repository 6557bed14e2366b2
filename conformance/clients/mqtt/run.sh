#!/usr/bin/env bash
# Runs unmodified MQTT clients, and a STOMP client, against a broker: run.sh [client...]
#   MQTT_URL     the broker; without it the built gateway is started here and stopped again
#   MQTTS_URL    the same over TLS, with ca.pem in TLS_DIRECTORY
#   MQTT_WS_URL  the same over WebSocket, path included
#   MQTT_OPEN=1  the broker takes any password
#   STOMP_PORT   its STOMP port on this machine; without it stomp-py runs against ours only
#   CLIENTS_LOG  directory for what the clients print beside their checks
# One line per check, then 'N passed, N failed, N skipped'. install.sh must have run.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$CLIENTS_HOME/support/runner.sh"
clients=(mqtt-js paho-python paho-java hivemq-java mosquitto-tools)
[[ -n ${MQTT_URL:-} && -z ${STOMP_PORT:-} ]] || clients+=(stomp-py)
(($# > 0)) && clients=("$@")

if [[ -z ${MQTT_URL:-} ]]; then
  definitions=$MQTT_HOME/definitions.json
  export BROKER_ARGS="--host 127.0.0.1 --mqtt-port 0 --mqtts-port 0 --stomp-port 0 --http-port 0 --load-definitions $definitions"
  start_broker
  # A restart keeps the ports.
  BROKER_ARGS="--host 127.0.0.1 --mqtt-port $(port_of mqtt) --mqtts-port $(port_of mqtts)"
  BROKER_ARGS+=" --stomp-port $(port_of stomp) --http-port $(port_of http)"
  export MQTT_URL=mqtt://guest:guest@127.0.0.1:$(port_of mqtt)
  export MQTTS_URL=mqtts://guest:guest@127.0.0.1:$(port_of mqtts) TLS_DIRECTORY=$BROKER_STATE/tls
  export MQTT_WS_URL=ws://guest:guest@127.0.0.1:$(port_of http)/mqtt
  export MQTT_LIMITED_USER=limited:secret:allowed
  STOMP_PORT=$(port_of stomp)
fi

command_of() {
  limit=120
  case $1 in
  mqtt-js) command=(node "$MQTT_HOME/js/mqtt-checks.mjs") ;;
  paho-python) command=("$MQTT_PYTHON" "$MQTT_HOME/python/paho_checks.py") ;;
  paho-java) command=(java -cp "$MQTT_CLASSPATH" PahoChecks) ;;
  hivemq-java) command=(java -cp "$MQTT_CLASSPATH" HiveMqChecks) ;;
  mosquitto-tools) command=(bash "$MQTT_HOME/tools/mosquitto-tools.sh") ;;
  stomp-py) command=("$MQTT_PYTHON" "$REPOSITORY/conformance/stomp/stomp_py_checks.py" "$STOMP_PORT") ;;
  *) return 1 ;;
  esac
}

run_in_turn "${clients[@]}"
totals
