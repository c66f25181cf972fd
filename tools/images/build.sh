#!/usr/bin/env bash
# Builds the OCI images of the first steps from Debian packages and stores them in a registry folder, so that pods can
# be started, by real pulls, on a machine without internet:
#
#   docker.io/dockerfile/redis   docker.io/library/{redis,nginx,busybox}   registry.k8s.io/pause
#
#   tools/images/build.sh DIR      fills DIR/registry (what serve.sh serves); done once, quick afterwards
#
# Packages are downloaded with the machine's own apt settings and unpacked; nothing is installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
recipe=$(cat "$here/build.sh" "$here/pause.c" "$here/serve.sh" | sha256sum | cut -d' ' -f1)
[ "$(cat "$dir/recipe" 2>/dev/null)" = "$recipe" ] && exit 0

work=$dir/work
rm -rf "$work" "$dir/registry" "$dir/recipe"
mkdir -p "$work/debs" "$dir/tools"

# What a program needs at run time. The maintainers' tools that packages depend on for their installation scripts are
# not wanted in an image.
closure() {
  apt-get -o Dir::State::status=/dev/null -o Debug::NoLocking=1 -s install --no-install-recommends "$@" |
    awk '/^Inst /{print $2}' |
    grep -Ev '^(adduser|base-passwd|coreutils|debconf|dpkg|init-system-helpers|iproute2|lsb-base|mawk|passwd|perl.*|sensible-utils|sysvinit-utils|tar|ucf|usrmerge|gcc-.*-base|lib.*-perl|libperl.*|libgdbm.*|libdb5.*|libpam-.*|libsystemd-shared)$'
}

unpack() { # unpack ROOTFS PACKAGE... : the packages' files, merged-/usr
  local rootfs=$1 package
  shift
  mkdir -p "$rootfs"/{usr/bin,usr/sbin,usr/lib,usr/lib64,etc,tmp,proc,sys,dev,run,var,root,data}
  for link in bin sbin lib lib64; do ln -sfn "usr/$link" "$rootfs/$link"; done
  chmod 1777 "$rootfs/tmp"
  (cd "$work/debs" && apt-get download -q "$@" >/dev/null 2>"$work/apt.log") || { cat "$work/apt.log" >&2; exit 1; }
  for package in "$@"; do
    # tar keeps the links of the merged tree, which dpkg-deb -x would replace by folders.
    dpkg-deb --fsys-tarfile "$work/debs/$package"_*.deb | tar -x --keep-directory-symlink -C "$rootfs"
  done
  rm -rf "$rootfs"/usr/share/{doc,man,locale,lintian,bug,info}
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$rootfs/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$rootfs/etc/group"
}

# The shell and small tools, for exec probes and for looking around.
add_busybox() {
  (cd "$work/debs" && [ -e busybox-static_*.deb ] || apt-get download -q busybox-static >/dev/null 2>&1)
  dpkg-deb --fsys-tarfile "$work"/debs/busybox-static_*.deb | tar -x --keep-directory-symlink -C "$1" --wildcards './*bin/busybox'
  local applet
  for applet in $("$1/bin/busybox" --list); do
    [ -e "$1/bin/$applet" ] || ln -s busybox "$1/bin/$applet"
  done
}

image() { # image NAME:TAG ROOTFS UMOCI-CONFIG-OPTION...
  local name=$1 rootfs=$2 layout=$work/oci
  shift 2
  local tag
  tag=$(echo "$name" | tr '/:' '--')
  [ -d "$layout" ] || umoci init --layout "$layout"
  umoci new --image "$layout:$tag"
  umoci insert --image "$layout:$tag" "$rootfs" /
  umoci config --image "$layout:$tag" "$@"
  skopeo copy -q --dest-tls-verify=false "oci:$layout:$tag" "docker://127.0.0.1:$port/$name"
}

echo "  fetching the packages of the images"
rootfs=$work/redis
unpack "$rootfs" $(closure redis-server)
add_busybox "$rootfs"
"$here/serve.sh" fetch "$dir"

port=$("$here/serve.sh" start "$dir" 0)
trap '"$here/serve.sh" stop "$dir"' EXIT

echo "  building dockerfile/redis"
redis_command=(--config.cmd redis-server --config.cmd --bind --config.cmd 0.0.0.0 --config.cmd --protected-mode --config.cmd no
  --config.cmd --dir --config.cmd /data --config.workingdir /data --config.exposedports 6379/tcp)
image dockerfile/redis:latest "$rootfs" "${redis_command[@]}"
image library/redis:latest "$rootfs" "${redis_command[@]}"

echo "  building nginx"
rootfs=$work/nginx
unpack "$rootfs" $(closure nginx-light | grep -Ev '^(libnginx|nginx-core)')
add_busybox "$rootfs"
mkdir -p "$rootfs"/var/{log,lib,cache}/nginx "$rootfs"/var/log/nginx "$rootfs"/usr/share/nginx/html
printf 'www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n' >>"$rootfs/etc/passwd"
printf 'www-data:x:33:\n' >>"$rootfs/etc/group"
rm -f "$rootfs"/etc/nginx/modules-enabled/* "$rootfs"/etc/nginx/sites-enabled/*
cat >"$rootfs/etc/nginx/nginx.conf" <<'CONF'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr;
events { worker_connections 512; }
http {
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
CONF
echo '<h1>Welcome to nginx!</h1>' >"$rootfs/usr/share/nginx/html/index.html"
image library/nginx:latest "$rootfs" --config.cmd nginx --config.cmd -g --config.cmd "daemon off;" --config.exposedports 80/tcp

echo "  building busybox and pause"
rootfs=$work/busybox
mkdir -p "$rootfs"/{bin,etc,tmp,proc,sys,dev,root}
add_busybox "$rootfs"
cp "$work/redis/etc/passwd" "$work/redis/etc/group" "$rootfs/etc/"
image library/busybox:latest "$rootfs" --config.cmd sh
rootfs=$work/pause
mkdir -p "$rootfs"
cc -Os -static -s -o "$rootfs/pause" "$here/pause.c"
image pause:3.10 "$rootfs" --config.entrypoint /pause --config.user 65535:65535

rm -rf "$work"
echo "$recipe" >"$dir/recipe"
