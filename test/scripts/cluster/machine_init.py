"""Process 1 of a test machine: prepares its view of the file system, then lives until its parent does not.

    machine_init.py HOSTNAME FOLDER

Runs in fresh network, mount, process, UTS and IPC namespaces. Everything that runs in them ends when this does: the
kernel kills what is left of a process namespace without its first process.
"""

import os
import pathlib
import select
import signal
import subprocess
import sys


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def forget_others_mounts():
    """Mounts of containers that run outside were copied here and would keep them busy."""
    points = []
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind = line.split()[:3]
        if point != "/" and (kind in ("overlay", "nsfs") or "/containerd/" in point or "/kubelet/" in point):
            points.append(point.encode().decode("unicode_escape"))
    for point in reversed(points):
        subprocess.run(["umount", "--lazy", point], check=False, stderr=subprocess.DEVNULL)


def own_etc(folder):
    """What is written below /etc stays in this machine, and goes with it."""
    changes = folder / "etc"
    changes.mkdir()
    mount("-t", "tmpfs", "tmpfs", str(changes))
    for name in ("upper", "work"):
        (changes / name).mkdir()
    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/etc,upperdir={changes}/upper,workdir={changes}/work", "/etc")


def prepare(hostname, folder):
    forget_others_mounts()
    # A /sys that shows this machine's links, with the control groups of the host.
    sys_folder = folder / "sys"
    sys_folder.mkdir()
    mount("-t", "sysfs", "sysfs", str(sys_folder))
    mount("--rbind", "/sys/fs/cgroup", str(sys_folder / "fs/cgroup"))
    mount("--move", str(sys_folder), "/sys")
    sys_folder.rmdir()
    for path in ("/run/netns", "/run/containerd", "/var/lib/cni"):
        os.makedirs(path, exist_ok=True)
        mount("-t", "tmpfs", "tmpfs", path)
    own_etc(folder)
    for name in ("resolv.conf", "hosts", "hostname"):
        if (folder / name).exists():
            mount("--bind", str(folder / name), f"/etc/{name}")
    subprocess.run(["hostname", hostname], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Addresses are usable at once.
    pathlib.Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")


def main():
    prepare(sys.argv[1], pathlib.Path(sys.argv[2]))
    print("ready", flush=True)
    waker, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([0, waker], [], [])
        if 0 in readable and not os.read(0, 1):
            return  # the parent is gone
        if waker in readable:
            os.read(waker, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main()
