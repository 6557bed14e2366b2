# Sourced by the scripts here: where the installed CMQ clients are.
source "$(dirname "${BASH_SOURCE[0]}")/../support/common.sh"
CMQ_HOME=$CLIENTS_HOME/cmq
CMQ_CACHE=$CLIENTS_CACHE/cmq
CMQ_MODULES=$CMQ_CACHE/npm
CMQ_SPECS=$CMQ_CACHE/npm/specs
CMQ_PYTHON=$CMQ_CACHE/python/bin/python
CMQ_GO=$CMQ_CACHE/go/checks
export CMQ_HOME CMQ_MODULES CMQ_SPECS
