#!/usr/bin/env bash
# Installs the Debian packages that building, running and testing Trireme need. Asks apt only for what is missing, so
# a second run takes no time. Services that a package would start on installation are kept from starting.
#
#   tools/install_deps.sh build|run|test ...     (several words: the union)
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=(g++ cmake ninja-build ccache mold pkg-config git python3 protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  libgrpc++-dev libfmt-dev libssl-dev libnghttp2-dev libsimdjson-dev libyaml-cpp-dev libre2-dev libsqlite3-dev libmnl-dev
  libnftnl-dev libnetfilter-conntrack-dev
  libhowardhinnant-date-dev tzdata zlib1g-dev libgtest-dev libgmock-dev libbenchmark-dev)
# Beast and Asio; the first of these that the release has.
BUILD_ANY=(libboost1.83-dev libboost1.81-dev)
RUN=(tzdata runc containernetworking-plugins iproute2 nftables iptables ca-certificates umoci skopeo curl redis-tools
  nginx-light)
TEST=(python3-kubernetes procps jq busybox-static bind9-dnsutils conntrack etcd-server)

wanted=()
for group in "$@"; do
  case "$group" in
    build)
      wanted+=("${BUILD[@]}")
      for candidate in "${BUILD_ANY[@]}"; do
        if apt-cache show "$candidate" >/dev/null 2>&1 || dpkg -s "$candidate" >/dev/null 2>&1; then
          wanted+=("$candidate")
          break
        fi
      done
      ;;
    run)
      wanted+=("${RUN[@]}")
      # Docker's own packages bring a containerd of their own, which serves as well.
      command -v containerd >/dev/null || wanted+=(containerd)
      command -v kubectl >/dev/null || wanted+=(kubernetes-client)
      ;;
    test) wanted+=("${TEST[@]}") ;;
    *) echo "usage: $0 build|run|test ..." >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
    missing+=("$package")
  fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ]; then
  echo "These packages are missing; install them as root and run this again:" >&2
  echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  made_policy=yes
fi
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT

log=$(mktemp)
if ! { apt-get install -y --no-install-recommends "${missing[@]}" || {
    apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; }; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "Installing packages failed; the full log is in $log" >&2
  exit 1
fi
rm -f "$log"
