#!/usr/bin/env bash
# The eight specs of cmq-sdk. They expect a queue called `normal`.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
export SECRETID=$CMQ_SECRET_ID SECRETKEY=$CMQ_SECRET_KEY REGION=sh
export NODE_OPTIONS="--no-deprecation --require $CMQ_HOME/js/redirect.cjs"
node "$CMQ_HOME/specs/normal-queue.cjs" || exit 1
cd "$CMQ_MODULES" && exec node node_modules/jest/bin/jest.js --config "$CMQ_HOME/specs/jest.config.cjs"
