#!/usr/bin/env bash
# Runs main/0 of a module with the Erlang client's libraries: run.sh MODULE
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/common.sh"
export ERL_LIBS=$ERLANG_LIBRARIES/lib
exec erl -noshell -noinput -pa "$ERLANG_LIBRARIES/ebin" \
  -eval '{ok, _} = application:ensure_all_started(amqp_client).' -s "$1" main
