#!/usr/bin/env bash
# Configures and builds a preset, with progress on one line when a person looks on.
#
#   tools/build.sh PRESET [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
log=build/$preset.log
mkdir -p build
# What is not tested need not be compiled: ./run asks for the programs only.
if ! cmake --preset "$preset" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "Configuring failed; the full log is in $log" >&2
  exit 1
fi
if [ -t 1 ]; then
  NINJA_STATUS='  [%f/%t, %e s] ' ninja -C "build/$preset" "$@"
else
  # Without a terminal: a line now and then, so that a log shows life without being flooded.
  NINJA_STATUS='[%f/%t] ' ninja -C "build/$preset" "$@" >"$log" 2>&1 &
  builder=$!
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1
    if [ $((SECONDS % 30)) -eq 0 ]; then grep -o '^\[[0-9/]*\]' "$log" | tail -n 1 | sed 's/^/  built /' || true; fi
  done
  if ! wait "$builder"; then
    grep -E -A12 'FAILED|error' "$log" | head -n 60 >&2
    echo "The build failed; the full log is in $log" >&2
    exit 1
  fi
fi
