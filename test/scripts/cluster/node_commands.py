#!/usr/bin/env python3
"""What a script may do to the nodes of its cluster; installed on its PATH under these names.

    on NODE: COMMAND...            on node-2: ip route      runs a command on a machine (also on the `switch`)
    in-pod [NAMESPACE/]POD[/CONTAINER]: COMMAND...          runs one in a container, with the container's own programs
    cut-off NODE [port|link|drop]  takes a machine off the network: its cable, its interface, or its packets silently
    heal NODE                      brings it back
    kill-node NODE                 kills its trireme process with -9; containers go on
    stop-node NODE                 ends it properly
    start-node NODE [ARGUMENT...]  starts it again and waits until it is ready; arguments such as those of a first
                                   `join` take the place of its usual command
    reset-node NODE                trireme reset
    matrix PORT [NAMESPACE...]     which pod reaches which on a TCP port: a table of yes and no, callers down, called across
    requests PLACE URL FILE        20 requests a second from a machine or a pod ([NAMESPACE/]POD) until FILE exists; tells how
                                   many failed, and the second words of the answers
    picture NODE                   rules, links, addresses, routes and namespaces of a machine, to be compared
"""

import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from cluster import machines, matrix, nodes, pods, requests  # noqa: E402

NAMES = ("on", "in-pod", "cut-off", "heal", "kill-node", "stop-node", "start-node", "reset-node",
         "matrix", "requests", "picture")


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def named(known, name):
    # A number alone would do for people; node2 and node-2 are the same.
    name = name.rstrip(":")
    for candidate in (name, name.replace("node", "node-")):
        if candidate in known:
            return known[candidate]
    fail(f"no node {name}; there are {', '.join(known)}")


def container_process(pod, namespace, container):
    """The process id, seen from outside, of a container's first process."""
    found = json.loads(subprocess.run(["kubectl", "get", "pod", "-n", namespace, pod, "-o", "json"], check=True,
                                      capture_output=True, text=True).stdout)
    if pid := pods.process_of(found, container):
        return pid
    fail(f"pod {namespace}/{pod} has no running container {container}".rstrip())


def in_pod(target, command):
    parts = target.rstrip(":").split("/")
    namespace = parts.pop(0) if len(parts) > 1 else "default"
    container = parts[1] if len(parts) > 1 else ""
    pid = container_process(parts[0], namespace, container)
    # Not enter()'s spaces: a container shares what its pod shares. --root and --wd make paths its own.
    words = ["nsenter", "--target", pid, "--mount", "--net", "--uts", "--ipc", "--pid", "--root", "--wd", "--", *command]
    return subprocess.run(words, check=False, env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})


def main():
    if sys.argv[1:] == ["--names"]:
        print("\n".join(NAMES))
        return 0
    verb = os.path.basename(sys.argv[0])
    if verb == "matrix" and nodes.STATE in os.environ:
        return matrix.show(*sys.argv[1:])
    if verb not in NAMES or len(sys.argv) < 2 or nodes.STATE not in os.environ:
        print(__doc__)
        return 2
    target, rest = sys.argv[1], sys.argv[2:]
    switch, known = nodes.attach(os.environ[nodes.STATE])
    if verb == "in-pod":
        return in_pod(target, rest).returncode
    everything = {name: node.machine for name, node in known.items()} | {"switch": switch.machine}
    if verb == "requests":
        place = everything.get(target.replace("node", "node-") if target not in everything else target)
        url, stop_file = rest
        if place:
            return requests.send(place.pid, url, os.path.abspath(stop_file))
        namespace, pod = target.split("/") if "/" in target else ("default", target)
        return requests.send(container_process(pod, namespace, ""), url, os.path.abspath(stop_file))
    if verb == "on":
        machine = named(everything, target)
        return subprocess.run([*machine.enter(), *rest], check=False).returncode
    node = named(known, target)
    if verb == "cut-off":
        switch.cut_off(node.machine, *rest)
    elif verb == "heal":
        switch.heal(node.machine)
    elif verb == "kill-node":
        node.kill()
    elif verb == "stop-node":
        node.stop()
    elif verb == "start-node":
        node.start(rest)
    elif verb == "picture":
        print(machines.picture(node.machine), end="")
    elif verb == "reset-node":
        done = node.reset()
        print(done.stdout + done.stderr, end="")
        return done.returncode
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
