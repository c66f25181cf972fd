"""A cluster of several machines (machines.py), each with a node of its own: data folder, containerd, control groups."""

import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

from . import machines
from .processes import START_TIMEOUT, STOP_TIMEOUT, Registry, last_lines, wait_until, why_no_images, why_no_node

HTTPS_PORT = 6443
STATE = "TRIREME_NODES"  # the environment variable that names the file which describes the nodes
COMMANDS = pathlib.Path(__file__).resolve().parent / "node_commands.py"


def why_no_nodes(images):
    return why_no_node() or machines.why_no_machines() or why_no_images(images)


class Node:
    """One machine's trireme process. Its command may be started, ended and killed at will."""

    def __init__(self, machine, trireme, words=None):
        self.machine = machine
        self.trireme = trireme
        self.words = words or []  # what `start` runs: the arguments of trireme
        self.data_dir = machine.folder / "data"
        self.log = machine.folder / "trireme.log"
        self.ready_file = machine.folder / "ready"
        self._process = None

    @property
    def name(self):
        return self.machine.name

    def running(self):
        if self._process:
            self._process.poll()  # reaps it
        if not (self.data_dir / "lock").exists():
            return False
        program = self.machine.shell(f'readlink "/proc/$(cat {self.data_dir}/lock)/exe"', check=False).stdout.strip()
        return program == os.path.realpath(self.trireme)

    def begin_start(self, first=()):
        """`first`: the words of the first `trireme join`, which needs more than the later ones."""
        self.ready_file.unlink(missing_ok=True)
        words = [*first, *self.words[1:]] if first else self.words
        self._process = self.machine.spawn([self.trireme, *words, "--ready-file", self.ready_file], self.log)

    def wait_ready(self, timeout=START_TIMEOUT):
        ready = wait_until(lambda: self.ready_file.exists() or self._process.poll() is not None, timeout)
        if not ready or not self.ready_file.exists():
            code = self._process.poll()
            ended = "does not get ready" if code is None else f"ended with {code}"
            raise RuntimeError(f"{self.name} {ended}: {shlex.join(map(str, self.words))}\n{last_lines(self.log)}")
        self._publish_kubeconfig()

    def _publish_kubeconfig(self):
        """The administrator's, with the address by which the API server is reached from outside."""
        own = self.data_dir / "admin.kubeconfig"
        if not own.exists():
            return
        public = self.machine.folder.parent / "kubeconfig"
        public.write_text(own.read_text().replace("https://127.0.0.1:", f"https://{self.machine.address}:"))
        public.chmod(0o600)

    def start(self, first=()):
        self.begin_start(first)
        self.wait_ready()

    def signal(self, name):
        self.machine.shell(f'kill -{name} "$(cat {self.data_dir}/lock)"', check=False)
        if name not in ("TERM", "KILL", "INT"):
            return
        if not wait_until(lambda: not self.running(), STOP_TIMEOUT):
            raise RuntimeError(f"{self.name}: the process did not end by {name}")

    def stop(self):
        if self.running():
            self.signal("TERM")

    def kill(self):
        self.signal("KILL")

    def reset(self):
        return self.machine.run(self.trireme, "reset", "--data-dir", self.data_dir, check=False)


class Cluster:
    """`with Cluster(...) as cluster:` node-1 runs the control plane, the others have joined it.

    `cluster.nodes["node-2"]`, `cluster.switch`, `cluster.environment` (KUBECONFIG and more, for programs that
    `cluster.run` starts outside the nodes, in the switch)."""

    def __init__(self, trireme, images, count=3, flags=(), node_flags=(), joined=None):
        """`flags`: more of them for `trireme server`; `node_flags`: for every node. `joined`: how many of the machines are
        nodes at the beginning (all); the others stand by."""
        self.trireme = os.path.abspath(trireme)
        self.images = images
        self.count = count
        self.flags = list(flags)
        self.node_flags = list(node_flags)
        self.joined = count if joined is None else joined
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trireme-"))
        self.folder.chmod(0o755)  # what runs as another user in a pod passes through
        self.nodes = {}
        self.switch = None

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self.close(failed=True)
            raise
        return self

    def __exit__(self, kind, *_):
        left = self.close(failed=kind is not None)
        if left and kind is None:
            raise RuntimeError(left)

    def _create(self):
        self.switch = machines.Switch.create(self.folder / "switch")
        for number in range(1, self.count + 1):
            machine = machines.Machine(f"node-{number}", number, self.folder / f"node-{number}")
            self.switch.connect(machine)
            # On the machine's own loopback: images are there also when it is cut off.
            registry = Registry(self.images, machine.folder / "images", 5000, machine.enter())
            node = Node(machine, self.trireme)
            node.common = ["--data-dir", str(node.data_dir), *registry.flags(), *self.node_flags]
            node.words = ["join", *node.common]
            self.nodes[machine.name] = node
        server = self.server
        server.words = ["server", *server.common, *self.flags]
        self._save()
        self.environment = self._environment()
        if self.joined == 0:
            return
        server.start()
        joining = list(self.nodes.values())[1:self.joined]
        for node in joining:
            node.begin_start(self.join_words())
        for node in joining:
            node.wait_ready()

    def join_words(self):
        """The arguments of trireme by which another machine joins, with a token of its own."""
        made = self.server.machine.run(self.trireme, "token", "create", "--print-join-command", "--data-dir",
                                       self.server.data_dir)
        return made.stdout.split()[1:]

    @property
    def server(self):
        return self.nodes["node-1"]

    def _environment(self):
        """For programs that stand outside, at the switch."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        for name in subprocess.run([sys.executable, COMMANDS, "--names"], check=True, capture_output=True,
                                   text=True).stdout.split():
            if not (programs / name).exists():
                os.symlink(COMMANDS, programs / name)
        return {**os.environ, "KUBECONFIG": str(self.folder / "kubeconfig"), "HOME": str(self.folder), STATE: str(self.folder / "nodes.json"),
                "NODES": str(self.folder),
                "EXAMPLES": str(COMMANDS.parents[3] / "deploy/examples"),
                "PATH": f"{programs}:{os.path.dirname(self.trireme)}:{os.environ['PATH']}"}

    def _save(self):
        described = [{"name": "switch", "number": machines.SWITCH_HOST, "pid": self.switch.machine.pid,
                      "folder": str(self.switch.machine.folder)}]
        for node in self.nodes.values():
            described.append({"name": node.name, "number": node.machine.number, "pid": node.machine.pid,
                              "folder": str(node.machine.folder), "words": node.words, "trireme": node.trireme})
        (self.folder / "nodes.json").write_text(json.dumps(described, indent=1))

    def run(self, words, **options):
        """A program outside the nodes: it reaches them by their addresses, as a user's machine would."""
        return subprocess.run([*machines.enter(self.switch.machine.pid, ["net"]), *map(str, words)], check=False,
                              env=self.environment, **options)

    def close(self, failed=False):
        """Removes every trace; returns what had to be removed that `trireme reset` should have removed."""
        left = []

        def end(node):
            try:
                node.stop()
            except RuntimeError as error:
                left.append(str(error))
                node.kill()
            if node.data_dir.exists() and not failed:
                done = node.reset()
                if done.returncode != 0:
                    left.append(f"{node.name}: trireme reset: {done.stderr}{done.stdout}")

        if failed:
            for node in self.nodes.values():
                print(f"--- {node.name}'s log\n{last_lines(node.log)}", flush=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for ended in [pool.submit(end, node) for node in self.nodes.values()]:
                ended.result()
        for node in self.nodes.values():
            node.machine.close()
        if self.switch:
            self.switch.machine.close()
        for node in self.nodes.values():
            groups = leftover_groups(node.data_dir)
            if groups and not failed:
                left.append(f"{node.name}: control groups: {groups}")
            for group in groups:
                remove_group(group)
        shutil.rmtree(self.folder, ignore_errors=True)
        return "\n".join(left)


def attach(path):
    """The switch and the nodes by name of a cluster that another program has made and described in `path`."""
    nodes = {}
    switch = None
    for each in json.loads(pathlib.Path(path).read_text()):
        machine = machines.Machine(each["name"], each["number"], pathlib.Path(each["folder"]), each["pid"])
        if each["name"] == "switch":
            switch = machines.Switch(machine)
        else:
            nodes[machine.name] = Node(machine, each["trireme"], each["words"])
    return switch, nodes


def group_name(data_dir):
    """As src/cmd/cluster_options.cc names the control group of a data folder."""
    value = 2166136261
    for byte in f"{data_dir}/cni".encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return f"tri{value:08x}"


def leftover_groups(data_dir):
    name = group_name(data_dir)
    folders = [pathlib.Path("/sys/fs/cgroup") / name, *pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}")]
    return [str(folder) for folder in folders if folder.is_dir()]


def remove_group(folder):
    def empty():
        for path, _, _ in os.walk(folder, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                return False
        return True

    wait_until(empty, 10)
