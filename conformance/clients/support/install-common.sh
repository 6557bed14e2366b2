# Sourced by the install scripts, with INSTALL_CACHE set to the folder that is theirs: what all of
# them do. Each script runs from its top to its end with `set -euo pipefail`.
: "${INSTALL_CACHE:?the folder for logs and stamps}"
mkdir -p "$INSTALL_CACHE/logs" "$INSTALL_CACHE/stamp"
export DEBIAN_FRONTEND=noninteractive

die() { echo "install.sh: $*" >&2; exit 1; }

# quietly LABEL COMMAND...: its output is shown only when it fails; a download that hangs ends.
quietly() {
  local log=$INSTALL_CACHE/logs/$1.log
  shift
  timeout --kill-after=5 900 "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "failed: $*"; }
}

# A package that brings a service must not start it here.
forbid_services() {
  [[ -e /usr/sbin/policy-rc.d ]] && return
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

packages_updated=
update_packages() {
  [[ -n $packages_updated ]] && return
  quietly apt-update apt-get update -qq
  packages_updated=yes
}

# packages NAME...: installs the Debian packages that are missing.
packages() {
  local missing=() name
  for name in "$@"; do dpkg -s "$name" >/dev/null 2>&1 || missing+=("$name"); done
  ((${#missing[@]} == 0)) && return
  ((EUID == 0)) || die "these Debian packages are missing: ${missing[*]}"
  forbid_services
  update_packages
  quietly "apt-${missing[0]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# stale STAMP FILE...: true when what made the stamp was not these files and the calling function
# as they stand. A change elsewhere in the script installs nothing anew.
stale() {
  local name=$1
  shift
  stamp=$INSTALL_CACHE/stamp/$name
  digest=$({ cat "$@"; declare -f "${FUNCNAME[1]}"; } | sha256sum)
  [[ $(cat "$stamp" 2>/dev/null) != "$digest" ]]
}
fresh() { printf '%s\n' "$digest" >"$stamp"; }

# python_environment FOLDER REQUIREMENTS: a virtual environment with what the file lists.
python_environment() {
  stale python "$2" || return 0
  python3 -c 'import ensurepip' 2>/dev/null || packages python3-venv
  quietly venv python3 -m venv --clear "$1"
  quietly pip "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2"
  fresh
}

# maven_libraries POM FOLDER: the jars a project depends on, with a compiler to use them.
maven_libraries() {
  command -v javac >/dev/null || packages default-jdk-headless
  stale java "$1" || return 0
  command -v mvn >/dev/null || packages maven
  rm -rf "$2"
  quietly maven mvn -q -B -f "$1" dependency:copy-dependencies -DoutputDirectory="$2"
  rm -f "$INSTALL_CACHE/stamp/java-classes"
  fresh
}

# java_classes CLASSPATH FOLDER SOURCE...: compiled.
java_classes() {
  stale java-classes "${@:3}" || return 0
  rm -rf "$2"
  quietly javac javac -cp "$1" -d "$2" "${@:3}"
  fresh
}
