# Sourced by the run.sh scripts after common.sh: runs programs that print a line per check, `ok NAME`,
# `not ok NAME: REASON` or `skip NAME`, and counts. The script defines `command_of CLIENT`, which sets
# the array `command`, and `limit` (seconds) where it is not the default; it is false for a name that is none.
#   CLIENTS_LOG  directory for what the programs print beside their checks
work=$(mktemp -d)
logs=${CLIENTS_LOG:-$work}
mkdir -p "$logs" "$work/run"
passed=0 failed=0 skipped=0
broker=$CLIENTS_HOME/support/broker.sh

# A signal ends the script at once, not with the program that is running: `timeout` passes it on.
running=
stop_running() { [[ -z $running ]] || kill "$running" 2>/dev/null; }

cleanup() {
  stop_running
  [[ -n ${BROKER_STATE:-} ]] && "$broker" stop
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

start_broker() { # starts the built gateway, with BROKER_ARGS; it is stopped with the script
  export BROKER_STATE=$work/broker RESTART_COMMAND=$broker
  mkdir -p "$BROKER_STATE"
  "$broker" start || exit 1
}

port_of() { cat "$BROKER_STATE/port-$1"; }

check_broker() { # client
  [[ -z ${BROKER_STATE:-} ]] && return
  "$broker" alive && return
  failed=$((failed + 1))
  echo "not ok $1: it left the gateway dead: $(cat "$BROKER_STATE"/log.* | grep -v '"level":"info"' | tail -n 3 | cut -c1-600)"
  "$broker" start
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

known() { # client...: ends the script for a name that is none
  local client
  for client in "$@"; do
    command_of "$client" || { echo "run.sh: unknown client $client" >&2; exit 2; }
  done
}

execute() { # client: runs it within its limit
  local limit=60 command
  command_of "$1"
  timeout -k 5 "$limit" "${command[@]}" >"$logs/$1.out" 2>"$logs/$1.err" </dev/null &
  running=$!
  wait "$running"
  local code=$?
  running=
  return "$code"
}

run_in_turn() { # client...
  local client started
  known "$@"
  for client in "$@"; do
    started=$SECONDS
    execute "$client"
    verdict "$client" $?
    check_broker "$client" || break
    echo "# $client: $((SECONDS - started)) s"
  done
}

run_side_by_side() { # client...: for those that mostly wait and share nothing but the gateway
  local client
  known "$@"
  for client in "$@"; do
    (
      trap stop_running EXIT
      trap 'exit 130' INT TERM
      cd "$work/run" || exit 1
      execute "$client"
      echo $? >"$work/$client.code"
    ) &
  done
  wait
  for client in "$@"; do verdict "$client" "$(cat "$work/$client.code")"; done
  check_broker gateway
}

totals() { # the last line of the script; its status is the script's
  if ((skipped > 0)); then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  ((failed == 0))
}
