#!/usr/bin/env bash
# Installs the MQTT clients: quiet, and quick when nothing is missing. Debian packages need root.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
mkdir -p "$MQTT_CACHE/stamp"
export DEBIAN_FRONTEND=noninteractive

die() { echo "install.sh: $*" >&2; exit 1; }

# quietly COMMAND...: its output is shown only when it fails; it may take four minutes.
quietly() {
  timeout --kill-after=5 240 "$@" >"$MQTT_CACHE/log" 2>&1 || { tail -n 20 "$MQTT_CACHE/log" >&2; die "failed: $*"; }
}

packages() {
  ((EUID == 0)) || die "these Debian packages are missing: $*"
  timeout --kill-after=5 240 apt-get install -y -qq --no-install-recommends "$@" \
    >"$MQTT_CACHE/log" 2>&1 && return
  quietly apt-get update -qq
  quietly apt-get install -y -qq --no-install-recommends "$@"
}

# stale STAMP FILE...: true when the stamp is not of these files' contents.
stale() {
  stamp=$MQTT_CACHE/stamp/$1
  digest=$(cat "${@:2}" "$MQTT_HOME/install.sh" | sha256sum)
  [[ $(cat "$stamp" 2>/dev/null) != "$digest" ]]
}
fresh() { printf '%s\n' "$digest" >"$stamp"; }

python_client() {
  stale python "$MQTT_HOME/python/requirements.txt" || return 0
  python3 -c 'import ensurepip' 2>/dev/null || packages python3-venv
  quietly python3 -m venv --clear "$MQTT_CACHE/python"
  quietly "$MQTT_PYTHON" -m pip install --quiet --disable-pip-version-check \
    -r "$MQTT_HOME/python/requirements.txt"
  fresh
}

java_clients() {
  command -v javac >/dev/null || packages default-jdk-headless
  if stale java "$MQTT_HOME/java/pom.xml"; then
    command -v mvn >/dev/null || packages maven
    rm -rf "$MQTT_CACHE/java"
    quietly mvn -q -B -f "$MQTT_HOME/java/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$MQTT_CACHE/java/lib"
    fresh
  fi
  if stale java-classes "$MQTT_HOME"/java/*.java "$CLIENTS_HOME/java/Checks.java"; then
    rm -rf "$MQTT_CACHE/java/classes"
    quietly javac -cp "$MQTT_CACHE/java/lib/*" -d "$MQTT_CACHE/java/classes" \
      "$MQTT_HOME"/java/*.java "$CLIENTS_HOME/java/Checks.java"
    fresh
  fi
}

command -v mosquitto_sub >/dev/null || packages mosquitto-clients
command -v openssl >/dev/null || packages openssl
python_client
java_clients
