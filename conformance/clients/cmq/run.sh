#!/usr/bin/env bash
# Runs unmodified CMQ clients against a gateway: run.sh [client...]
#   CMQ_URL        the gateway, http://host:port; without it the built gateway is started here
#   CMQ_SECRET_ID, CMQ_SECRET_KEY   a key that may do everything
#   CLIENTS_LOG    directory for what the clients print beside their checks
# One line per check, then 'N passed, N failed'. install.sh must have run.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
clients=(qcloudapi tencentcloud cmq-sdk cmq-sdk-specs python)
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

if [[ -z ${CMQ_URL:-} ]]; then
  export BROKER_STATE=$work/broker
  mkdir -p "$BROKER_STATE"
  export CMQ_SECRET_ID=AKIDguest CMQ_SECRET_KEY=secret-of-guest
  export BROKER_ARGS="--host 127.0.0.1 --http-port 0 --load-definitions $REPOSITORY/conformance/support/cmq-definitions.json"
  "$broker" start || exit 1
  CMQ_URL=http://127.0.0.1:$(cat "$BROKER_STATE/port-http")
fi
export CMQ_URL CMQ_SECRET_ID CMQ_SECRET_KEY

# The command of a client and its limit in seconds.
command_of() {
  limit=60
  case $1 in
  qcloudapi) command=(node --no-deprecation "$CMQ_HOME/js/qcloudapi-checks.mjs") ;;
  tencentcloud) command=(node "$CMQ_HOME/js/tencentcloud-checks.mjs") ;;
  cmq-sdk) command=(node --require "$CMQ_HOME/js/redirect.cjs" "$CMQ_HOME/js/cmq-sdk-checks.mjs") ;;
  cmq-sdk-specs) command=(bash "$CMQ_HOME/specs/run.sh"); limit=120 ;;
  python) command=("$CMQ_PYTHON" -W ignore "$CMQ_HOME/python/cmq_checks.py") ;;
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

# The clients mostly wait, and share nothing but the gateway: they run side by side.
mkdir -p "$work/run"
for client in "${clients[@]}"; do
  command_of "$client" || { echo "run.sh: unknown client $client" >&2; exit 2; }
  (
    cd "$work/run" || exit 1
    timeout -k 5 "$limit" "${command[@]}" >"$logs/$client.out" 2>"$logs/$client.err" </dev/null
    echo $? >"$work/$client.code"
  ) &
done
wait
for client in "${clients[@]}"; do verdict "$client" "$(cat "$work/$client.code")"; done
if [[ -n ${BROKER_STATE:-} ]] && ! "$broker" alive; then
  failed=$((failed + 1))
  echo "not ok gateway: it died: $(cat "$BROKER_STATE"/log.* | grep -v '"level":"info"' | tail -n 3 | cut -c1-600)"
fi
if ((skipped > 0)); then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
((failed == 0))
