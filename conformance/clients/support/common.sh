# Sourced by the scripts: where the installed clients are.
CLIENTS_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPOSITORY=$(cd "$CLIENTS_HOME/../.." && pwd)
CLIENTS_CACHE=${TRIBUTARY_CLIENTS_CACHE:-$HOME/.cache/tributary-clients}
GO_SUITE_VERSIONS=(v1.16.0 v1.5.0)
PYTHON=$CLIENTS_CACHE/python/bin/python
JAVA_CLASSPATH="$CLIENTS_CACHE/java/lib/*:$CLIENTS_CACHE/java/classes"
ERLANG_LIBRARIES=$CLIENTS_CACHE/erlang
export CLIENTS_HOME REPOSITORY CLIENTS_CACHE PYTHON JAVA_CLASSPATH ERLANG_LIBRARIES
