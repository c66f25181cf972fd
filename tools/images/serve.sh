#!/usr/bin/env bash
# Serves the images that build.sh made from a registry on loopback, as a background process.
#
#   tools/images/serve.sh fetch DIR          gets the registry program (unpacked below DIR, not installed)
#   tools/images/serve.sh start DIR [PORT]   prints the port; 0 picks a free one; does nothing when it runs already
#   tools/images/serve.sh stop DIR
set -euo pipefail
command=$1
dir=$(mkdir -p "$2" && cd "$2" && pwd)
program=$dir/tools/usr/bin/docker-registry

running() { [ -s "$dir/registry.pid" ] && [ "/proc/$(cat "$dir/registry.pid")/exe" -ef "$program" ]; }

case "$command" in
  fetch)
    [ -x "$program" ] && exit 0
    mkdir -p "$dir/tools"
    (cd "$dir/tools" && apt-get download -q docker-registry >/dev/null 2>&1 && dpkg-deb -x docker-registry_*.deb . && rm -f docker-registry_*.deb)
    ;;
  start)
    if running; then
      cat "$dir/registry.port"
      exit 0
    fi
    port=${3:-5000}
    if [ "$port" = 0 ]; then
      port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    fi
    cat >"$dir/registry.yml" <<CONF
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $dir/registry}}
http: {addr: "127.0.0.1:$port"}
CONF
    setsid "$program" serve "$dir/registry.yml" >"$dir/registry.log" 2>&1 </dev/null &
    echo $! >"$dir/registry.pid"
    echo "$port" >"$dir/registry.port"
    for _ in $(seq 100); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "$port"
        exit 0
      fi
      kill -0 "$(cat "$dir/registry.pid")" 2>/dev/null || break
      sleep 0.05
    done
    cat "$dir/registry.log" >&2
    echo "The image registry did not start on port $port" >&2
    exit 1
    ;;
  stop)
    if running; then kill "$(cat "$dir/registry.pid")"; fi
    rm -f "$dir/registry.pid" "$dir/registry.port"
    ;;
  *) echo "usage: $0 fetch|start|stop DIR [PORT]" >&2; exit 2 ;;
esac
