"""Constant requests through a service, as somebody who counts every failed one."""

import subprocess
import sys

from . import machines

# Runs inside a machine's or a pod's network, with this machine's own interpreter. Every request is a connection of its own.
CALLER = """
import collections, http.client, os, sys, time, urllib.parse
url, stop, interval, limit = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
path = url.path + ("?" + url.query if url.query else "")
count, failures, answers, slowest = 0, [], collections.Counter(), 0.0
begin = time.monotonic()
while not os.path.exists(stop) and time.monotonic() - begin < limit:
    count += 1
    started = time.monotonic()
    try:
        call = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=2)
        call.request("GET", path)
        answer = call.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            failures.append(f"{started - begin:.2f}s: {answer.status}")
        else:
            answers[" ".join(body.split()[1:2])] += 1
    except OSError as error:
        failures.append(f"{started - begin:.2f}s: {error!r}")
    except http.client.HTTPException as error:
        failures.append(f"{started - begin:.2f}s: {error!r}")
    finally:
        call.close()
    slowest = max(slowest, time.monotonic() - started)
    time.sleep(max(0.0, interval - (time.monotonic() - started)))
enough = "enough" if count >= 20 else f"only {count}"
print(f"{enough} requests, {len(failures)} failed, answers: {' '.join(sorted(answers))}")
print(f"{count} requests in {time.monotonic() - begin:.1f} s, the slowest took {slowest:.2f} s", file=sys.stderr)
for failure in failures[:20]:
    print(failure)
"""
INTERVAL = 0.05  # seconds between the beginnings of two requests
LIMIT = 110.0  # seconds, whatever happens


def send(pid, url, stop_file):
    """From the network of the process `pid` until `stop_file` exists."""
    done = subprocess.run([*machines.enter(pid, ["net"]), sys.executable, "-c", CALLER, url, stop_file, str(INTERVAL),
                           str(LIMIT)], check=False)
    return done.returncode
