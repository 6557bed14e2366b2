#!/usr/bin/env bash
# Installs the MQTT clients: quiet, and quick when nothing is missing. Debian packages need root.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
INSTALL_CACHE=$MQTT_CACHE
source "$CLIENTS_HOME/support/install-common.sh"

command -v mosquitto_sub >/dev/null || packages mosquitto-clients
command -v openssl >/dev/null || packages openssl
python_environment "$MQTT_CACHE/python" "$MQTT_HOME/python/requirements.txt"
maven_libraries "$MQTT_HOME/java/pom.xml" "$MQTT_CACHE/java/lib"
java_classes "$MQTT_CACHE/java/lib/*" "$MQTT_CACHE/java/classes" \
  "$MQTT_HOME"/java/*.java "$CLIENTS_HOME/java/Checks.java"
