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

from cluster.processes import ROOT, SKIPPED, START_TIMEOUT, STOP_TIMEOUT, Registry, last_lines, wait_until, why_no_node


def start(command, folder, log):
    ready = folder / "ready"
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_until(lambda: ready.exists() or process.poll() is not None, START_TIMEOUT)
    return process, ready.exists() and process.poll() is None


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

    arguments = ["--no-node"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="trireme-"))
    registry = None
    if options.node:
        registry = Registry(options.images, folder / "images", 0)
        # Nothing is asked of DNS servers outside.
        (folder / "resolv.conf").write_text("")
        arguments = [f"--resolv-conf={folder}/resolv.conf",
                     "--node-ip=127.0.0.1", "--node-name=node-1", "--kubelet-port=0", "--stop-pods", *registry.flags()]

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
            print(last_lines(log_path))
        if registry:
            registry.stop()
        subprocess.run([options.trireme, "reset", "--data-dir", str(folder / "data")], check=False,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
