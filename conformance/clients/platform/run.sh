#!/usr/bin/env bash
# Order service in Java, inventory in Erlang, shipping in Python on one broker: one scenario, one verdict.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/common.sh"
export PLATFORM_RUN=clients.platform.$$ PLATFORM_ORDERS=${PLATFORM_ORDERS:-25}
name="$PLATFORM_ORDERS orders between Java, Erlang and Python in six directions, every field type intact"
work=$(mktemp -d)
services=()
cleanup() {
  ((${#services[@]})) && kill "${services[@]}" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

"$PYTHON" "$CLIENTS_HOME/platform/topology.py" declare || { echo "not ok $name: no topology"; exit 1; }
java -cp "$JAVA_CLASSPATH" OrderService >"$work/order" 2>&1 &
services+=($!)
bash "$CLIENTS_HOME/erlang/run.sh" inventory >"$work/inventory" 2>&1 &
services+=($!)
"$PYTHON" "$CLIENTS_HOME/platform/shipping.py" >"$work/shipping" 2>&1 &
services+=($!)
failures=0
for _ in "${services[@]}"; do
  wait -n && continue
  failures=1
  sleep 0.5 # what the others have to say
  break
done
((failures)) && kill "${services[@]}" 2>/dev/null
services=()
"$PYTHON" "$CLIENTS_HOME/platform/topology.py" delete >"$work/left" || failures=$((failures + 1))
if ((failures == 0)); then
  echo "ok $name"
else
  echo "not ok $name: $(cat "$work"/* | grep -v SLF4J | tr '\n' ' ' | cut -c1-600)"
  exit 1
fi
