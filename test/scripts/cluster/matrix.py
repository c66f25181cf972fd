"""Which pods reach which: what network policies are tested by."""

import concurrent.futures
import json
import subprocess
import sys

from . import machines, pods

# Runs inside a pod's network, with this machine's own interpreter: connects to all at the same time.
CALLER = """
import errno, selectors, socket, sys, time
waiting = selectors.DefaultSelector()
answers = {}
for target in sys.argv[2:]:
    address, port = target.rsplit(",", 1)
    call = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    call.setblocking(False)
    call.connect_ex((address, int(port)))
    waiting.register(call, selectors.EVENT_WRITE, target)
end = time.monotonic() + float(sys.argv[1])
while waiting.get_map() and (left := end - time.monotonic()) > 0:
    for key, _ in waiting.select(left):
        answers[key.data] = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        waiting.unregister(key.fileobj)
        key.fileobj.close()
print(" ".join("yes" if answers.get(target) else "no" for target in sys.argv[2:]))
"""
PATIENCE = 1.0  # seconds, after which silence means no


def call(pid, targets):
    done = subprocess.run([*machines.enter(pid, ["net"]), sys.executable, "-c", CALLER, str(PATIENCE), *targets],
                          capture_output=True, text=True, check=True)
    return done.stdout.split()


def show(port, *namespaces):
    listed = json.loads(subprocess.run(["kubectl", "get", "pods", "-A", "-o", "json"], check=True, capture_output=True,
                                       text=True).stdout)["items"]
    chosen = {}
    for pod in listed:
        meta, status = pod["metadata"], pod["status"]
        if namespaces and meta["namespace"] not in namespaces:
            continue
        if status.get("phase") != "Running" or pod["spec"].get("hostNetwork") or "deletionTimestamp" in meta:
            continue
        chosen[f"{meta['namespace']}/{meta['name']}"] = (pods.process_of(pod), status["podIP"])
    names = sorted(chosen)
    targets = [f"{chosen[name][1]},{port}" for name in names]
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(names) or 1) as pool:
        rows = list(pool.map(lambda name: call(chosen[name][0], targets), names))
    width = max([len(name) for name in names] + [3])
    for name, row in zip(["", *names], [names, *rows]):
        print("  ".join(word.ljust(width) for word in [name, *row]).rstrip())
    return 0
