#!/usr/bin/env bash
# Installs the CMQ clients: quiet, and quick when nothing is missing. Debian packages need root.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
mkdir -p "$CMQ_CACHE/stamp"
export DEBIAN_FRONTEND=noninteractive

die() { echo "install.sh: $*" >&2; exit 1; }

# quietly COMMAND...: its output is shown only when it fails.
quietly() {
  "$@" >"$CMQ_CACHE/log" 2>&1 || { tail -n 20 "$CMQ_CACHE/log" >&2; die "failed: $*"; }
}

packages() {
  ((EUID == 0)) || die "these Debian packages are missing: $*"
  apt-get install -y -qq --no-install-recommends "$@" >"$CMQ_CACHE/log" 2>&1 && return
  quietly apt-get update -qq
  quietly apt-get install -y -qq --no-install-recommends "$@"
}

# stale STAMP FILE...: true when the stamp is not of these files' contents.
stale() {
  stamp=$CMQ_CACHE/stamp/$1
  digest=$(cat "${@:2}" "$CMQ_HOME/install.sh" | sha256sum)
  [[ $(cat "$stamp" 2>/dev/null) != "$digest" ]]
}
fresh() { printf '%s\n' "$digest" >"$stamp"; }

# The specs are run from a copy beside node_modules: jest looks for no tests inside.
node_clients() {
  stale npm "$CMQ_HOME/package.json" || return 0
  rm -rf "$CMQ_MODULES"
  mkdir -p "$CMQ_MODULES"
  cp "$CMQ_HOME/package.json" "$CMQ_MODULES/"
  (cd "$CMQ_MODULES" && quietly npm install --silent --no-audit --no-fund --ignore-scripts)
  cp -r "$CMQ_MODULES/node_modules/cmq-sdk" "$CMQ_SPECS"
  fresh
}

python_client() {
  stale python "$CMQ_HOME/python/requirements.txt" || return 0
  python3 -c 'import ensurepip' 2>/dev/null || packages python3-venv
  quietly python3 -m venv --clear "$CMQ_CACHE/python"
  quietly "$CMQ_PYTHON" -m pip install --quiet --disable-pip-version-check \
    -r "$CMQ_HOME/python/requirements.txt"
  fresh
}

# Its source stands here: the module proxy does not have it.
go_client() {
  command -v go >/dev/null || packages golang-go
  stale go "$CMQ_HOME"/go/*.go "$CMQ_HOME"/go/go.mod "$CMQ_HOME"/go/*/*.go || return 0
  mkdir -p "$CMQ_CACHE/go"
  (cd "$CMQ_HOME/go" && quietly go build -o "$CMQ_GO" .)
  fresh
}

node_clients
python_client
go_client
