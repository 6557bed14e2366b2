#!/usr/bin/env bash
# Runs ElasticMQ from Maven Central on port $1 (default 9324). Needs a JDK and Maven.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${ELASTICMQ_JARS:-${TMPDIR:-/tmp}/elasticmq-jars}
[[ -e $jars/elasticmq-rest-sqs_2.13-1.6.5.jar ]] ||
  mvn -q -B -f "$here/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DoutputDirectory="$jars"
exec java -cp "$jars/*" "$here/Main.java" "${1:-9324}"
