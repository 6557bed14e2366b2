#!/usr/bin/env bash
# Installs the stock clients that the conformance programs use: quiet, and quick when nothing is missing.
# Debian packages need root; everything else goes to ${TRIBUTARY_CLIENTS_CACHE:-$HOME/.cache/tributary-clients}.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/common.sh"
INSTALL_CACHE=$CLIENTS_CACHE
source "$CLIENTS_HOME/support/install-common.sh"

# Only the client libraries of the server's package are taken; the server is never installed.
erlang_client() {
  packages erlang-base erlang-crypto erlang-ssl erlang-public-key erlang-asn1 erlang-xmerl \
    erlang-tools erlang-syntax-tools
  local work plugins library
  if stale erlang /dev/null; then
    update_packages
    work=$(mktemp -d)
    chmod 755 "$work"
    (cd "$work" && quietly amqp-client apt-get download -qq -o APT::Sandbox::User=root rabbitmq-server)
    dpkg -x "$work"/rabbitmq-server_*.deb "$work/tree"
    plugins=$(echo "$work"/tree/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins)
    rm -rf "$ERLANG_LIBRARIES"
    mkdir -p "$ERLANG_LIBRARIES/lib"
    for library in amqp_client rabbit_common credentials_obfuscation recon jsx; do
      cp -r "$plugins/$library"-* "$ERLANG_LIBRARIES/lib/$library"
    done
    rm -rf "$work"
    fresh
  fi
  if stale erlang-beams "$CLIENTS_HOME"/erlang/*.erl "$CLIENTS_HOME"/platform/*.erl; then
    mkdir -p "$ERLANG_LIBRARIES/ebin"
    ERL_LIBS=$ERLANG_LIBRARIES/lib quietly erlc erlc -o "$ERLANG_LIBRARIES/ebin" \
      "$CLIENTS_HOME"/erlang/*.erl "$CLIENTS_HOME"/platform/*.erl
    fresh
  fi
}

# The program of ours, and the module's own integration tests as one binary beside their sources.
go_client() {
  command -v go >/dev/null || packages golang-go
  if stale go "$CLIENTS_HOME"/go/*; then
    mkdir -p "$CLIENTS_CACHE/go"
    (cd "$CLIENTS_HOME/go" && quietly go-build go build -o "$CLIENTS_CACHE/go/checks" .)
    fresh
  fi
  stale go-suite "$CLIENTS_HOME/support/common.sh" || return 0
  local version source suite
  for version in "${GO_SUITE_VERSIONS[@]}"; do
    source=$(cd "$CLIENTS_HOME/go" && go mod download -json "github.com/rabbitmq/amqp091-go@$version" |
      sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    [[ -d $source ]] || die "the Go client's module could not be downloaded"
    suite=$CLIENTS_CACHE/go/suite-$version
    if [[ -d $suite ]]; then chmod -R u+w "$suite" && rm -rf "$suite"; fi
    cp -r "$source" "$suite"
    chmod -R u+w "$suite"
    (cd "$suite" && quietly go-suite go test -c -tags integration -o integration.test .)
  done
  fresh
}

# The runner makes certificates for the gateway it starts.
openssl_tool() { command -v openssl >/dev/null || packages openssl; }

ruby_and_php_clients() { packages ruby-bunny php-amqplib php-cli php-bcmath; }

c_tools() { command -v amqp-publish >/dev/null || packages amqp-tools; }

# amqplib's own tutorials, as published, with the one package more that they name.
tutorials() {
  stale tutorials "$CLIENTS_HOME/tutorials/package.json" || return 0
  rm -rf "$CLIENTS_CACHE/tutorials"
  mkdir -p "$CLIENTS_CACHE/tutorials"
  cp "$CLIENTS_HOME/tutorials/package.json" "$CLIENTS_CACHE/tutorials/"
  (cd "$CLIENTS_CACHE/tutorials" &&
    quietly npm npm install --silent --no-audit --no-fund --ignore-scripts)
  fresh
}

python_environment "$CLIENTS_CACHE/python" "$CLIENTS_HOME/python/requirements.txt"
maven_libraries "$CLIENTS_HOME/java/pom.xml" "$CLIENTS_CACHE/java/lib"
java_classes "$CLIENTS_CACHE/java/lib/*" "$CLIENTS_CACHE/java/classes" \
  "$CLIENTS_HOME"/java/*.java "$CLIENTS_HOME"/platform/*.java
erlang_client
go_client
openssl_tool
c_tools
ruby_and_php_clients
tutorials
