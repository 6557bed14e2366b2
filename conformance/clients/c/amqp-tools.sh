#!/usr/bin/env bash
# The C client through its command line tools: declare, publish, get, consume, delete.
set -uo pipefail
url=${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/%2F}
queue=clients.c.$$.$RANDOM
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

check() { # name, function
  local name=$1 output
  if output=$("$2" 2>&1); then
    echo "ok $name"
  else
    failures=$((failures + 1))
    echo "not ok $name: $(tail -n 2 <<<"$output" | tr '\n' ' ')"
  fi
}

same() { [[ $1 == "$2" ]] || { echo "got '$1', expected '$2'"; return 1; }; }

declares() { same "$(amqp-declare-queue -u "$url" -d -q "$queue")" "$queue"; }
declares_other() {
  local output
  output=$(amqp-declare-queue -u "$url" -q "$queue" 2>&1) && return 1
  grep -q 'PRECONDITION_FAILED - inequivalent arg' <<<"$output" || { echo "$output"; return 1; }
}
publishes() {
  amqp-publish -u "$url" -r "$queue" -p -C text/plain -b 'hello from C' &&
    same "$(amqp-get -u "$url" -q "$queue")" 'hello from C'
}
gets_nothing() {
  amqp-get -u "$url" -q "$queue" >/dev/null
  same $? 2
}
publishes_lines() {
  printf 'one\ntwo\nthree\n' | amqp-publish -u "$url" -r "$queue" -l -p || return 1
  timeout 20 amqp-consume -u "$url" -q "$queue" -c 3 -p 1 cat >"$work/lines" || return 1
  same "$(tr -d '\n' <"$work/lines")" onetwothree
}
routes_through_exchange() {
  local bound=$queue.bound
  timeout 20 amqp-consume -u "$url" -e amq.topic -r "$queue.*" -c 1 -A cat >"$work/topic" &
  local consumer=$!
  for _ in $(seq 1 20); do
    sleep 0.2
    amqp-publish -u "$url" -e amq.topic -r "$queue.$bound" -b no
    amqp-publish -u "$url" -e amq.topic -r "$queue.x" -b routed
    kill -0 "$consumer" 2>/dev/null || break
  done
  wait "$consumer" && same "$(cat "$work/topic")" routed
}
passes_large_body() {
  head -c 3000000 /dev/urandom >"$work/large"
  amqp-publish -u "$url" -r "$queue" <"$work/large" && amqp-get -u "$url" -q "$queue" >"$work/back" &&
    cmp "$work/large" "$work/back"
}
refuses_login() {
  local output
  output=$(amqp-get -u "${url/:guest@/:wrong@}" -q "$queue" 2>&1) && return 1
  grep -q 'ACCESS_REFUSED - Login was refused' <<<"$output" || { echo "$output"; return 1; }
}
reports_missing() {
  local output
  output=$(amqp-get -u "$url" -q "$queue.missing" 2>&1) && return 1
  grep -q "404.*NOT_FOUND - no queue '$queue.missing' in vhost '/'" <<<"$output" || { echo "$output"; return 1; }
}
round_trip_over_tls() {
  local secure=(-u "$AMQPS_URL" --ssl --cacert "$TLS_DIRECTORY/ca.pem")
  amqp-publish "${secure[@]}" -r "$queue" -b secret && same "$(amqp-get "${secure[@]}" -q "$queue")" secret
}
deletes() {
  amqp-publish -u "$url" -r "$queue" -b left && same "$(amqp-delete-queue -u "$url" -q "$queue")" 1
}

check 'amqp-declare-queue declares a durable queue' declares
check 'amqp-declare-queue reports a different redeclare' declares_other
check 'amqp-publish and amqp-get' publishes
check 'amqp-get of an empty queue ends with 2' gets_nothing
check 'amqp-publish of lines, amqp-consume with prefetch' publishes_lines
check 'amqp-consume of a bound exchange' routes_through_exchange
check 'three megabytes through amqp-publish and amqp-get' passes_large_body
check 'a refused login is told' refuses_login
check 'a missing queue is told' reports_missing
if [[ -n ${AMQPS_URL:-} ]]; then
  check 'tls: verified round trip' round_trip_over_tls
else
  echo 'skip tls: verified round trip'
fi
check 'amqp-delete-queue counts' deletes
((failures == 0))
