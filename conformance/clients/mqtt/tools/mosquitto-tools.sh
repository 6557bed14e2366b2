#!/usr/bin/env bash
# mosquitto_pub and mosquitto_sub, in 3.1, 3.1.1 and 5.0, over TCP and TLS.
set -uo pipefail
url=${MQTT_URL:-mqtt://guest:guest@127.0.0.1:1883}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
failures=0 count=0

# check NAME FUNCTION ARGUMENT...: SKIP by code 77.
check() {
  local name=$1 code
  shift
  reason=
  "$@"
  code=$?
  case $code in
  0) echo "ok $label $name" ;;
  77) echo "skip $label $name" ;;
  *) failures=1; echo "not ok $label $name: ${reason:-code $code}" ;;
  esac
}

fail() { reason=$*; return 1; }
unique() { count=$((count + 1)); echo "$1-$$-$count-$RANDOM"; }

# Address options of a URL, in `address`.
address_of() {
  local rest=${1#*://} login host
  login=${rest%%@*} host=${rest##*@}
  host=${host%%/*}
  address=(-h "${host%%:*}" -p "${host##*:}" -u "${login%%:*}" -P "${login#*:}")
  if [[ $1 == mqtts:* ]]; then address=(-h localhost "${address[@]:2}" --cafile "$TLS_DIRECTORY/ca.pem"); fi
}
pub() { timeout 10 mosquitto_pub "${address[@]}" -V "$version" -i "$(unique p)" "$@"; }
# sub FILE OPTION...: in the background until it has what it waits for; returns once subscribed.
sub() {
  local file=$1
  shift
  timeout 10 stdbuf -oL mosquitto_sub "${address[@]}" -V "$version" -i "$(unique s)" -d "$@" >"$file.all" 2>&1 &
  reader=$!
  for _ in $(seq 1 100); do
    grep -qs "^Subscribed" "$file.all" && return 0
    sleep 0.05
  done
  fail "no SUBACK"
}
# What a subscriber printed beside its -d lines, which begin with 'Client' or 'Subscribed'.
printed() { grep -avE '^(Client |Subscribed )' "$1.all"; }

delivers() { # QoS
  local topic file=$work/$RANDOM
  topic=$(unique t)
  sub "$file" -q "$1" -t "$topic/+" -C 3 -F '%t %q %p' || return 1
  for index in 1 2 3; do pub -q "$1" -t "$topic/$index" -m "m$index" || fail "pub: $?" || return 1; done
  wait $reader || fail "sub ended with $?" || return 1
  [[ $(printed "$file") == "$topic/1 $1 m1
$topic/2 $1 m2
$topic/3 $1 m3" ]] || fail "got $(printed "$file" | tr '\n' '|')"
}

retains() {
  local topic file=$work/$RANDOM
  topic=$(unique t)
  pub -q 1 -r -t "$topic" -m kept || return 1
  timeout 10 mosquitto_sub "${address[@]}" -V "$version" -t "$topic" -C 1 -F '%r %p' >"$file" || return 1
  [[ $(cat "$file") == '1 kept' ]] || fail "got $(cat "$file")" || return 1
  pub -q 1 -r -n -t "$topic" || return 1
  timeout 5 mosquitto_sub "${address[@]}" -V "$version" -t "$topic" -W 1 >"$file" 2>/dev/null
  [[ ! -s $file ]] || fail "still there: $(cat "$file")"
}

wills() {
  local topic file=$work/$RANDOM dying
  topic=$(unique t)
  sub "$file" -q 1 -t "$topic" -C 1 || return 1
  mosquitto_sub "${address[@]}" -V "$version" -t unused --will-topic "$topic" --will-payload gone --will-qos 1 >/dev/null 2>&1 &
  dying=$!
  sleep 0.5
  kill -KILL $dying
  wait $dying 2>/dev/null
  wait $reader || fail "no will" || return 1
  [[ $(printed "$file") == gone ]]
}

keeps_sessions() {
  local topic id file=$work/$RANDOM more=()
  topic=$(unique t) id=$(unique i)
  [[ $version == 5 ]] && more=(-x 300)
  timeout 10 mosquitto_sub "${address[@]}" -V "$version" -i "$id" -c -q 1 -t "$topic" -E "${more[@]}" || return 1
  for index in 1 2 3; do pub -q 1 -t "$topic" -m "m$index" || return 1; done
  timeout 10 mosquitto_sub "${address[@]}" -V "$version" -i "$id" -c -q 1 -t "$topic" -C 3 "${more[@]}" >"$file" || fail "code $?" || return 1
  [[ $(tr '\n' ' ' <"$file") == 'm1 m2 m3 ' ]] || fail "got $(tr '\n' ' ' <"$file")"
}

carries_large() {
  local topic file=$work/$RANDOM
  topic=$(unique t)
  head -c 1048576 /dev/urandom >"$work/large"
  timeout 10 mosquitto_sub "${address[@]}" -V "$version" -q 1 -t "$topic" -C 1 -N >"$file" &
  local reader=$!
  sleep 0.5
  pub -q 1 -t "$topic" -f "$work/large" || return 1
  wait $reader || return 1
  cmp -s "$work/large" "$file" || fail "$(stat -c %s "$file") bytes"
}

shares() {
  local topic one=$work/$RANDOM two=$work/$RANDOM
  topic=$(unique t)
  sub "$one" -q 1 -t "\$share/g/$topic" -W 3 || return 1
  sub "$two" -q 1 -t "\$share/g/$topic" -W 3 || return 1
  seq 1 20 | pub -q 1 -t "$topic" -l || return 1
  wait
  [[ $({ printed "$one"; printed "$two"; } | grep -E '^[0-9]+$' | sort -n | tr '\n' ' ') == "$(seq 1 20 | tr '\n' ' ')" ]] ||
    fail "got $(printed "$one" | wc -l) and $(printed "$two" | wc -l)" || return 1
  (($(printed "$one" | grep -cE '^[0-9]+$') > 0 && $(printed "$two" | grep -cE '^[0-9]+$') > 0)) || fail 'one had all'
}

refuses_password() {
  [[ -n ${MQTT_OPEN:-} ]] && return 77
  local out
  out=$(timeout 10 mosquitto_pub "${address[@]}" -P wrong -V "$version" -t x -m x 2>&1) && fail accepted && return 1
  [[ $out == *[Nn]ot\ authori[sz]ed* || $out == *[Bb]ad\ [Uu]ser* || $out == *username* ]] || fail "$out"
}

refuses_filter() {
  [[ -z ${MQTT_LIMITED_USER:-} ]] && return 77
  local name password allowed out
  IFS=: read -r name password allowed <<<"$MQTT_LIMITED_USER"
  out=$(timeout 10 mosquitto_sub "${address[@]}" -u "$name" -P "$password" -V "$version" -q 1 -t elsewhere/x -W 2 -d 2>&1)
  [[ $out == *Subscribed*1[23][0-9]* || $out == *denied* || $out == *rejected* ]] || fail "$(tr '\n' '|' <<<"$out")" || return 1
  timeout 10 mosquitto_sub "${address[@]}" -u "$name" -P "$password" -V "$version" -q 1 -t "$allowed/x" -E || fail "allowed filter: $?"
}

has_properties() {
  [[ $version == 5 ]] || return 77
  local topic file=$work/$RANDOM
  topic=$(unique t)
  sub "$file" -q 1 -t "$topic" -C 1 -F '%A|%C|%D|%R|%P|%p' || return 1
  pub -q 1 -t "$topic" -m x -D publish content-type text/plain -D publish response-topic answers/x \
    -D publish correlation-data c1 -D publish user-property a 1 -D publish user-property b 2 || return 1
  wait $reader || return 1
  [[ $(printed "$file") == '|text/plain|c1|answers/x|a:1 b:2|x' ]] || fail "got $(printed "$file")"
}

answers_requests() {
  [[ $version == 5 ]] || return 77
  local topic file=$work/$RANDOM out
  topic=$(unique t)
  sub "$file" -q 1 -t "$topic" -C 1 -F '%R' || return 1
  timeout 10 mosquitto_rr "${address[@]}" -V 5 -q 1 -t "$topic" -e "$topic/answer" -m hi -W 8 >"$file.answer" &
  local caller=$!
  wait $reader || return 1
  pub -q 1 -t "$(printed "$file")" -m "re: hi" || return 1
  wait $caller || return 1
  [[ $(cat "$file.answer") == 're: hi' ]]
}

for target in "$url" "${MQTTS_URL:-}"; do
  if [[ -z $target ]]; then
    echo "skip tls"
    continue
  fi
  address_of "$target"
  for version in 31 311 5; do
    label="${target%%:*} $version"
    for qos in 0 1 2; do check "QoS $qos" delivers $qos; done
    check 'retained' retains
    check 'will' wills
    check 'persistent session' keeps_sessions
    check '1 MiB' carries_large
    check 'shared subscription' shares
    check 'wrong password' refuses_password
    check 'refused filter' refuses_filter
    check 'properties' has_properties
    check 'request and response' answers_requests
  done
done
exit $failures
