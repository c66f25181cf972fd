#!/usr/bin/env python3
"""Measures how long a machine takes to become a Ready node, and what its process weighs.

    join_bench.py --trireme PATH --images DIR [--rounds 7]

Time is from the start of `trireme join` on a machine without state until the Node object says Ready, seen from outside.
"""

import argparse
import statistics
import subprocess
import sys
import time

from cluster import nodes
from cluster.processes import SKIPPED, wait_until


def memory(node):
    text = node.machine.shell(f"cat /proc/$(cat {node.data_dir}/lock)/smaps_rollup").stdout
    return {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trireme", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if reason := nodes.why_no_nodes(options.images):
        print(f"skipped: {reason}")
        return SKIPPED
    times = []
    with nodes.Cluster(options.trireme, options.images, count=2, joined=1) as cluster:
        node = cluster.nodes["node-2"]
        for _ in range(options.rounds):
            words = cluster.join_words()
            began = time.monotonic()
            node.begin_start(words)
            ready = ["kubectl", "get", "node", "node-2", "-o",
                     "jsonpath={.status.conditions[?(@.type=='Ready')].status}"]
            if not wait_until(lambda: cluster.run(ready, capture_output=True, text=True).stdout == "True", 60, 0.01):
                raise RuntimeError("node-2 did not become Ready")
            times.append(time.monotonic() - began)
            node.wait_ready()
            last = memory(node)
            node.stop()
            node.reset()
            cluster.run(["kubectl", "delete", "node", "node-2"], stdout=subprocess.DEVNULL)
    print(f"join to Ready, {len(times)} times: median {statistics.median(times) * 1000:.0f} ms, "
          f"{min(times) * 1000:.0f} to {max(times) * 1000:.0f} ms")
    print(f"the node's process: {last['Pss'] / 1024:.1f} MB proportional, {last['Private_Dirty'] / 1024:.1f} MB private")
    return 0


if __name__ == "__main__":
    sys.exit(main())
