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
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SKIPPED = 77
START_TIMEOUT = 60.0


def why_no_node():
    if os.geteuid() != 0:
        return "needs root to start containers"
    for program in ("containerd", "runc"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if not any(os.path.exists(folder + "/bridge") for folder in ("/usr/lib/cni", "/opt/cni/bin")):
        return "needs the CNI plugins"
    return None


def start(trireme, folder, arguments, log):
    ready = folder / "ready"
    process = subprocess.Popen(
        [trireme, "up", "--data-dir", str(folder / "data"), "--https-port=0", "--bind-address=127.0.0.1",
         "--ready-file", str(ready), *arguments],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )
    deadline = time.monotonic() + START_TIMEOUT
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            return process, False
        time.sleep(0.02)
    return process, True


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
        arguments = ["--node-ip=127.0.0.1", "--node-name=node-1", "--kubelet-port=0", "--stop-pods", *mirrors]

    code = 1
    log_path = folder / "trireme.log"
    with open(log_path, "wb") as log:
        process, ready = start(options.trireme, folder, arguments, log)
    try:
        if ready:
            environment = dict(os.environ)
            environment["KUBECONFIG"] = str(folder / "data/admin.kubeconfig")
            environment["HOME"] = str(folder)
            environment["TRIREME_DATA_DIR"] = str(folder / "data")
            environment["TRIREME_PID"] = str(process.pid)
            environment["PATH"] = os.path.dirname(os.path.abspath(options.trireme)) + ":" + environment["PATH"]
            environment["EXAMPLES"] = str(ROOT / "deploy/examples")
            code = subprocess.run(options.command, env=environment).returncode
        else:
            print("the cluster did not start")
    finally:
        stop(process)
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
