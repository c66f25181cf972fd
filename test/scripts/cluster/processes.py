"""What the test clusters share: what a node needs of the machine, image registries, waiting."""

import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
SKIPPED = 77  # ctest counts a test that exits with this as skipped
START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
MIRRORED = ("docker.io", "registry.k8s.io")


def why_no_node():
    if os.geteuid() != 0:
        return "needs root to start containers"
    for program in ("containerd", "runc"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if not any(os.path.exists(folder + "/bridge") for folder in ("/usr/lib/cni", "/opt/cni/bin")):
        return "needs the CNI plugins"
    return None


def why_no_images(images):
    if not images or not os.path.exists(os.path.join(images, "registry")):
        return "needs the images of tools/images/build.sh"
    return None


def wait_until(condition, timeout, interval=0.02):
    """Whether `condition` came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


class Registry:
    """A registry process on loopback, of its user's own, that serves the images built once."""

    def __init__(self, images, folder, port, inside=()):
        """`inside`: a command that runs what follows it elsewhere, such as in a namespace."""
        self.folder = folder
        self.inside = list(inside)
        folder.mkdir()
        for name in ("registry", "tools"):
            os.symlink(os.path.abspath(os.path.join(images, name)), folder / name)
        self.port = subprocess.run([*self.inside, self.program(), "start", folder, str(port)], check=True,
                                   capture_output=True, text=True).stdout.strip()

    @staticmethod
    def program():
        return str(ROOT / "tools/images/serve.sh")

    def flags(self):
        return [f"--registry-mirror={host}=http://127.0.0.1:{self.port}" for host in MIRRORED]

    def stop(self):
        subprocess.run([*self.inside, self.program(), "stop", self.folder], check=False)


def last_lines(path, count=60):
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return "(none)"
