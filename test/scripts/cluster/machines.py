"""Machines made of namespaces, joined by a switch: what a test of several nodes runs on.

Each machine has its own network, mount, process, UTS and IPC namespaces, so that several containerds and nodes do not meet.
Its interface eth0 is one end of a veth pair; the other is a port of a bridge in one more machine, the switch, which is
also every machine's default gateway and forwards nothing: no packet leaves. Addresses are of the ranges that documents
use (RFC 5737, RFC 3849). When the process that made them ends, however it ends, everything in them ends too.
"""

import os
import pathlib
import shutil
import subprocess
import sys

INIT = pathlib.Path(__file__).resolve().parent / "machine_init.py"
IPV4 = "192.0.2.{}"
IPV4_LENGTH = 24
IPV6 = "2001:db8::{:x}"
IPV6_LENGTH = 64
SWITCH_HOST = 254
BRIDGE = "switch"


def why_no_machines():
    if os.geteuid() != 0:
        return "needs root to make namespaces"
    for program in ("unshare", "nsenter", "ip", "nft"):
        if shutil.which(program) is None:
            return f"needs {program}"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "ip", "link", "add", "veth-a",
                            "type", "veth", "peer", "name", "veth-b"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else f"needs namespaces with veth: {probe.stderr.strip()}"


def enter(pid, spaces=("mount", "net", "uts", "ipc", "pid")):
    """The words before a command that make it run in a process's namespaces."""
    return ["nsenter", "--target", str(pid), *(f"--{space}" for space in spaces), "--"]


class Machine:
    def __init__(self, name, number, folder, pid=None):
        """`pid`: of the first process of a machine that another program has made."""
        self.name = name
        self.number = number
        self.folder = folder
        self.address = IPV4.format(number)
        self.address6 = IPV6.format(number)
        self.pid = pid  # as seen from outside
        self._holder = None
        if pid is None:
            self._create(folder)

    def _create(self, folder):
        name = self.name
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        (folder / "resolv.conf").write_text(f"nameserver {IPV4.format(SWITCH_HOST)}\n")
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{self.address} {name}\n")
        (folder / "hostname").write_text(name + "\n")
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", sys.executable, "-S", str(INIT), name, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._holder.stdout.readline() != b"ready\n":
            raise RuntimeError(f"machine {name} did not start")
        children = pathlib.Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.pid = int(children.split()[0])

    def enter(self):
        return enter(self.pid)

    def run(self, *words, check=True, **options):
        options = {"capture_output": True, "text": True, **options}
        done = subprocess.run([*self.enter(), *map(str, words)], check=False, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"on {self.name}: {' '.join(map(str, words))}: {done.stderr or done.stdout}")
        return done

    def shell(self, script, check=True):
        return self.run("bash", "-c", script, check=check)

    def spawn(self, words, log):
        """In the background; ends with the machine at the latest."""
        with open(log, "ab") as out:
            return subprocess.Popen([*self.enter(), *map(str, words)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    start_new_session=True)

    def close(self):
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()


class Switch:
    """The machines' network, and what can happen to it."""

    def __init__(self, machine):
        self.machine = machine

    @staticmethod
    def create(folder):
        switch = Switch(Machine("switch", SWITCH_HOST, folder))
        run = switch.machine.run
        run("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
        run("ip", "address", "add", f"{switch.machine.address}/{IPV4_LENGTH}", "dev", BRIDGE)
        run("ip", "address", "add", f"{switch.machine.address6}/{IPV6_LENGTH}", "dev", BRIDGE, "nodad")
        run("ip", "link", "set", BRIDGE, "up")
        return switch

    @staticmethod
    def port(machine):
        return f"port-{machine.number}"

    def connect(self, machine):
        port = self.port(machine)
        # Not by Machine.run, in whose process namespace the other machine has no number.
        subprocess.run([*enter(self.machine.pid, ["net"]), "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0",
                        "netns", str(machine.pid)], check=True)
        self.machine.run("ip", "link", "set", port, "master", BRIDGE, "up")
        self._configure(machine)

    def _configure(self, machine):
        """Also what a lost link has taken away."""
        machine.run("ip", "link", "set", "eth0", "up")
        machine.run("ip", "address", "replace", f"{machine.address}/{IPV4_LENGTH}", "dev", "eth0")
        machine.run("ip", "address", "replace", f"{machine.address6}/{IPV6_LENGTH}", "dev", "eth0", "nodad")
        machine.run("ip", "route", "replace", "default", "via", self.machine.address)
        machine.run("ip", "-6", "route", "replace", "default", "via", self.machine.address6)

    def cut_off(self, machine, how="port"):
        """`port`: the switch's port goes down (the machine sees its cable pulled); `link`: the machine's own interface goes
        down and takes its routes along; `drop`: packets vanish in the switch and nobody sees why."""
        port = self.port(machine)
        if how == "port":
            self.machine.run("ip", "link", "set", port, "down")
        elif how == "link":
            machine.run("ip", "link", "set", "eth0", "down")
        elif how == "drop":
            # By the port, so that traffic of every protocol and of the switch itself is meant.
            self.machine.run("nft", f"table bridge cut-{port} {{\n"
                             f"chain in {{ type filter hook prerouting priority -300; iifname {port} drop; }}\n"
                             f"chain out {{ type filter hook postrouting priority 300; oifname {port} drop; }}\n}}")
        else:
            raise ValueError(f"cannot cut off by {how}: port, link or drop")

    def heal(self, machine):
        port = self.port(machine)
        self.machine.run("nft", "delete", "table", "bridge", f"cut-{port}", check=False)
        self.machine.run("ip", "link", "set", port, "up")
        self._configure(machine)


def picture(machine):
    """What a machine's network consists of, to be compared: rules, links, addresses, routes, namespaces."""
    commands = ("nft list ruleset", "ip -o link | sed 's/@.*//; s/^[0-9]*: //'", "ip -o address | awk '{print $2, $3, $4}'",
                "ip route show table all", "ip -6 route show table all", "ip rule", "ip netns", "bridge fdb",
                "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding",
                "cat /proc/sys/net/bridge/bridge-nf-call-ip*tables 2>/dev/null")
    return "\n".join(f"$ {command}\n{machine.shell(command).stdout}" for command in commands)

