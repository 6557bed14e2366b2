# Sourced by the scripts here: where the installed MQTT clients are.
source "$(dirname "${BASH_SOURCE[0]}")/../support/common.sh"
MQTT_HOME=$CLIENTS_HOME/mqtt
MQTT_CACHE=$CLIENTS_CACHE/mqtt
MQTT_PYTHON=$MQTT_CACHE/python/bin/python
MQTT_CLASSPATH="$MQTT_CACHE/java/lib/*:$MQTT_CACHE/java/classes"
export MQTT_HOME
