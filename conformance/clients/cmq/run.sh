#!/usr/bin/env bash
# Runs unmodified CMQ clients against a gateway: run.sh [client...]
#   CMQ_URL        the gateway, http://host:port; without it the built gateway is started here
#   CMQ_SECRET_ID, CMQ_SECRET_KEY   a key that may do everything
#   CMQS_URL       the same over TLS, with its authority in TLS_CA
#   AMQP_URL       the same gateway, for the workers
#   CMQ_FULL=1     10,000 tasks for the workers
#   CLIENTS_LOG    directory for what the clients print beside their checks
# One line per check, then 'N passed, N failed'. install.sh must have run.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$CLIENTS_HOME/support/runner.sh"
clients=(qcloudapi tencentcloud cmq-sdk cmq-sdk-specs python go workers)
(($# > 0)) && clients=("$@")

if [[ -z ${CMQ_URL:-} ]]; then
  export CMQ_SECRET_ID=AKIDguest CMQ_SECRET_KEY=secret-of-guest
  export BROKER_ARGS="--host 127.0.0.1 --http-port 0 --https-port 0 --load-definitions $REPOSITORY/conformance/support/cmq-definitions.json"
  start_broker
  CMQ_URL=http://127.0.0.1:$(port_of http)
  AMQP_URL=amqp://guest:guest@127.0.0.1:$(port_of amqp)
  export CMQS_URL=https://localhost:$(port_of https) TLS_CA=$BROKER_STATE/tls/ca.pem
fi
export CMQ_PYTHON AMQP_URL CMQ_URL CMQ_SECRET_ID CMQ_SECRET_KEY

command_of() {
  case $1 in
  qcloudapi) command=(node --no-deprecation "$CMQ_HOME/js/qcloudapi-checks.mjs") ;;
  tencentcloud) command=(env NODE_EXTRA_CA_CERTS="${TLS_CA:-}" node "$CMQ_HOME/js/tencentcloud-checks.mjs") ;;
  cmq-sdk) command=(node --require "$CMQ_HOME/js/redirect.cjs" "$CMQ_HOME/js/cmq-sdk-checks.mjs") ;;
  cmq-sdk-specs) command=(bash "$CMQ_HOME/specs/run.sh"); limit=120 ;;
  python) command=(env SSL_CERT_FILE="${TLS_CA:-}" "$CMQ_PYTHON" -W ignore "$CMQ_HOME/python/cmq_checks.py") ;;
  go) command=(bash "$CMQ_HOME/go/run.sh") ;;
  workers)
    command=(node --no-deprecation "$CMQ_HOME/workers/master.mjs")
    limit=$([[ ${CMQ_FULL:-} == 1 ]] && echo 900 || echo 220)
    ;;
  *) return 1 ;;
  esac
}

run_side_by_side "${clients[@]}"
totals
