"""Where the processes of a pod's containers are."""

import os
import pathlib


def process_of(pod, container=""):
    """The process id, seen from outside, of the first process of a running container (of any, without a name); `pod` is
    the object. None: there is none."""
    status = pod["status"]
    for each in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        if container not in ("", each["name"]) or "running" not in each["state"]:
            continue
        identity = each["containerID"].split("//")[1]
        for hierarchy in ("/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
            for folder, _, _ in os.walk(hierarchy):
                if os.path.basename(folder) == identity:
                    # The first of a container's processes has the number 1 in the innermost of its namespaces.
                    for pid in pathlib.Path(folder, "cgroup.procs").read_text().split():
                        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                            if line.startswith("NSpid:") and line.split()[-1] == "1":
                                return pid
    return None
