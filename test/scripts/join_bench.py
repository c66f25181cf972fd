#!/usr/bin/env python3
"""Measures how long a machine takes to become a Ready node, and what its process weighs.

    join_bench.py --trireme PATH --images DIR [--rounds 7]

Time is what `trireme join` itself prints, on a machine without state: from its start until the Node object says Ready and the
kubelet's serving certificate is there. Asking from outside would measure the asking on a small machine.
"""

import argparse
import re
import statistics
import subprocess
import sys

from cluster import nodes
from cluster.processes import SKIPPED


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
            node.log.unlink(missing_ok=True)
            node.start(words)
            times.append(int(re.search(r"^Ready after (\d+) ms", node.log.read_text(), re.M).group(1)))
            last = memory(node)
            node.stop()
            node.reset()
            cluster.run(["kubectl", "delete", "node", "node-2"], stdout=subprocess.DEVNULL)
    print(f"join to Ready, {len(times)} times: median {statistics.median(times):.0f} ms, "
          f"{min(times)} to {max(times)} ms")
    print(f"the node's process: {last['Pss'] / 1024:.1f} MB proportional, {last['Private_Dirty'] / 1024:.1f} MB private")
    return 0


if __name__ == "__main__":
    sys.exit(main())
