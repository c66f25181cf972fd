#!/usr/bin/env python3
"""Starts a cluster of several machines made of namespaces, runs a command outside them, and removes every trace.

    with_nodes.py --trireme PATH --images DIR [--nodes 3] [--joined 3] [--server-flag=FLAG]... COMMAND...

A script of run_script.py may choose these options itself, in lines that begin with "#! ".

The command finds KUBECONFIG set and the programs of cluster/node_commands.py (on, in-pod, cut-off, heal, kill-node, …) on
its PATH. Exits 77, which ctest counts as skipped, when the machine lacks what this needs, and says what. A pause of one's
own: with_nodes.py … bash.
"""

import argparse
import pathlib
import shlex
import sys

from cluster import nodes
from cluster.processes import SKIPPED, last_lines


def script_options(command):
    words = []
    for name in command:
        if name.endswith(".test"):
            for line in pathlib.Path(name).read_text(encoding="utf-8").splitlines():
                if line.startswith("#! "):
                    words += shlex.split(line[3:])
    return words


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trireme", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--joined", type=int, help="how many of them are nodes from the beginning (default: all)")
    parser.add_argument("--node-flag", action="append", default=[], help="one more flag of every node")
    parser.add_argument("--server-flag", action="append", default=[], help="one more flag of trireme server")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    command = parser.parse_args().command
    options = parser.parse_args([*sys.argv[1:len(sys.argv) - len(command)], *script_options(command), *command])
    if reason := nodes.why_no_nodes(options.images):
        print(f"skipped: {reason}")
        return SKIPPED
    with nodes.Cluster(options.trireme, options.images, options.nodes, options.server_flag, options.node_flag,
                       options.joined) as cluster:
        code = cluster.run(options.command).returncode
        if code != 0:
            for node in cluster.nodes.values():
                print(f"--- {node.name}'s log\n{last_lines(node.log)}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
