#!/bin/sh
# Makes Kubernetes' Go type packages available and prints the folder that holds them.
#
#   fetch_api_packages.sh FOLDER
#
# Where the Debian packages are installed (Debian 13: they are build dependencies), it prints their folder and does
# nothing. Otherwise it downloads them from Debian 13 (trixie) into FOLDER: from the mirror that this machine's own apt
# uses, with apt's signature checks, through a private apt configuration that leaves the machine's sources, lists and
# package state alone. It may be interrupted and run again at any time.
set -eu

packages="golang-k8s-api-dev golang-k8s-apimachinery-dev golang-k8s-metrics-dev golang-github-kubernetes-cri-api-dev"
suite=trixie
go_path=usr/share/gocode/src
# One file of each package: what tells that it is there.
probes="k8s.io/api/core/v1/types.go k8s.io/apimachinery/pkg/apis/meta/v1/types.go
  k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go k8s.io/cri-api/pkg/apis/runtime/v1/api.proto"

fail() {
  echo "fetch_api_packages: $*" >&2
  exit 1
}

# The types must be of Kubernetes 1.32 or newer, which resource claims in v1beta1 tell.
has_all() {
  for probe in $probes k8s.io/api/resource/v1beta1/types.go; do
    [ -f "$1/$probe" ] || return 1
  done
}

[ $# -eq 1 ] || fail "usage: fetch_api_packages.sh FOLDER"
if has_all "/$go_path"; then
  echo "/$go_path"
  exit 0
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
if has_all "$folder/$go_path"; then
  echo "$folder/$go_path"
  exit 0
fi

# Parallel builds wait for each other here; the lock ends with this process.
exec 9>"$folder/.lock"
flock 9
if has_all "$folder/$go_path"; then
  echo "$folder/$go_path"
  exit 0
fi

command -v apt-get >/dev/null || fail "apt-get is missing: install the packages $packages of Debian 13 by other means"
# The mirror of the machine's own Debian archive: not its security, updates or third-party repositories.
# shellcheck disable=SC2016  # apt's own placeholders
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)' |
  awk '$2 == "Debian" && $3 == "Debian" && $4 == "main" { print $1; exit }')
if [ -z "$mirror" ]; then
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' | awk '$2 == "main" { print $1; exit }')
fi
[ -n "$mirror" ] || fail "apt has no Debian mirror configured, or 'apt-get update' never ran"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || fail "$keyring is missing: install debian-archive-keyring"

work="$folder/.work"
rm -rf "$work"
mkdir -p "$work/sources.d" "$work/lists/partial" "$work/cache/archives/partial" "$work/download" "$work/unpacked"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
: >"$work/status"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.d/trixie.list"

private_apt() {
  apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources.d" \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o APT::Sandbox::User=root -o APT::Default-Release= -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

echo "Fetching the Kubernetes type packages of Debian 13 through the machine's own mirror" >&2
if ! private_apt update >"$work/log" 2>&1 || grep -q '^\(W\|Err\)' "$work/log"; then
  cat "$work/log" >&2
  fail "cannot read Debian 13's package lists from the configured mirror (is this machine offline?)"
fi
# shellcheck disable=SC2086  # the list is meant to be split
(cd "$work/download" && private_apt download $packages) >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  fail "cannot download the type packages"
}
for package in "$work"/download/*.deb; do
  dpkg-deb -x "$package" "$work/unpacked"
done
has_all "$work/unpacked/$go_path" || fail "the downloaded packages lack expected files"
# The old folder, if any, is incomplete; the rename makes the new one appear whole.
rm -rf "${folder:?}/usr"
mv "$work/unpacked/usr" "$folder/usr"
echo "$folder/$go_path"
