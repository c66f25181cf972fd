#!/usr/bin/env python3
"""Starts a cluster of its own, runs a command with KUBECONFIG set to it, and removes every trace.

    with_cluster.py --trireme PATH [--node] [--images DIR] COMMAND...

Without --node: a control plane only (no root needed). With --node: real containers, with images pulled from a loopback
registry that serves DIR (made by tools/images/build.sh). Exits 77, which ctest counts as skipped, when the machine lacks
what a node needs, and says what.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SKIPPED = 77
START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0


def why_no_node():
    if os.geteuid() != 0:
        return "needs root to start containers"
    for program in ("containerd", "runc"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if not any(os.path.exists(folder + "/bridge") for folder in ("/usr/lib/cni", "/opt/cni/bin")):
        return "needs the CNI plugins"
    return None


def start(command, folder, log):
    ready = folder / "ready"
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + START_TIMEOUT
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            return process, False
        time.sleep(0.02)
    return process, True


def stop(process, folder):
    process.poll()
    # A script may have killed the first process and started another: the lock file names the one that runs.
    try:
        pid = int((folder / "data/lock").read_text())
        running = os.readlink(f"/proc/{pid}/exe").endswith("/trireme")
    except (OSError, ValueError):
        return
    if not running:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while os.path.exists(f"/proc/{pid}"):
        process.poll()  # reaps it
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trireme", required=True)
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--images")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    if options.node and (reason := why_no_node()):
        print(f"skipped: {reason}")
        return SKIPPED

    registry = ROOT / "tools/images/serve.sh"
    arguments = ["--no-node"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="trireme-"))
    own_registry = folder / "images"
    if options.node:
        # A registry process of this run's own, on the images built once.
        own_registry.mkdir()
        for name in ("registry", "tools"):
            os.symlink(os.path.abspath(os.path.join(options.images, name)), own_registry / name)
        port = subprocess.run([registry, "start", own_registry, "0"], check=True, capture_output=True, text=True).stdout.strip()
        mirrors = [f"--registry-mirror={host}=http://127.0.0.1:{port}" for host in ("docker.io", "registry.k8s.io")]
        # Nothing is asked of DNS servers outside.
        (folder / "resolv.conf").write_text("")
        arguments = [f"--resolv-conf={folder}/resolv.conf", "--node-ip=127.0.0.1", "--node-name=node-1", "--kubelet-port=0", "--stop-pods", *mirrors]

    code = 1
    log_path = folder / "trireme.log"
    # The port is chosen once, so that a cluster that a script starts again is found where it was.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        https_port = probe.getsockname()[1]
    command = [os.path.abspath(options.trireme), "up", "--data-dir", str(folder / "data"), f"--https-port={https_port}",
               "--bind-address=127.0.0.1", "--ready-file", str(folder / "ready"), *arguments]
    with open(log_path, "ab") as log:
        process, ready = start(command, folder, log)
    try:
        if ready:
            environment = dict(os.environ)
            environment["KUBECONFIG"] = str(folder / "data/admin.kubeconfig")
            environment["HOME"] = str(folder)
            environment["TRIREME_DATA_DIR"] = str(folder / "data")
            environment["TRIREME_COMMAND"] = shlex.join(command) + f" >>{shlex.quote(str(log_path))} 2>&1"
            environment["PATH"] = os.path.dirname(os.path.abspath(options.trireme)) + ":" + environment["PATH"]
            environment["EXAMPLES"] = str(ROOT / "deploy/examples")
            code = subprocess.run(options.command, env=environment).returncode
        else:
            print("the cluster did not start")
    finally:
        stop(process, folder)
        if code != 0:
            print("--- the cluster's log")
            sys.stdout.flush()
            print("\n".join(log_path.read_text(errors="replace").splitlines()[-60:]))
        if options.node:
            subprocess.run([registry, "stop", own_registry], check=False)
        subprocess.run([options.trireme, "reset", "--data-dir", str(folder / "data")], check=False,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
