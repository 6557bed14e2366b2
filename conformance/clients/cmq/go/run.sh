#!/usr/bin/env bash
# Runs the checks of the Go SDK on a queue and topics of their own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
export CMQ_NAME=go-$$-$RANDOM
node --no-deprecation "$CMQ_HOME/go/place.mjs" make "$CMQ_NAME"
trap 'node --no-deprecation "$CMQ_HOME/go/place.mjs" remove "$CMQ_NAME"' EXIT
"$CMQ_GO" "$@"
