#!/usr/bin/env python3
"""Writes a docker archive with one layer: a static busybox with links for its applets.

Usage: make_image.py BUSYBOX OUT.tar NAME:TAG [ENTRYPOINT...]
"""
import hashlib
import io
import json
import sys
import tarfile

APPLETS = ["sh", "sleep", "echo", "cat", "ls", "true", "false", "httpd", "env", "id", "kill", "nc", "wget", "touch",
           "mkdir", "hostname", "stat", "date", "seq", "test", "printf", "rm", "ps", "grep", "head", "trap", "mount"]


def add(archive, name, data=b"", kind=tarfile.REGTYPE, mode=0o755, link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), link
    archive.addfile(entry, io.BytesIO(data))


def layer(busybox):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "dev", "proc", "sys", "var"):
            add(archive, folder, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        with open(busybox, "rb") as program:
            add(archive, "bin/busybox", program.read())
        for applet in APPLETS:
            add(archive, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        add(archive, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", mode=0o644)
        add(archive, "etc/group", b"root:x:0:\nnogroup:x:65534:\n", mode=0o644)
    return buffer.getvalue()


def main():
    busybox, out, name, *entrypoint = sys.argv[1:]
    content = layer(busybox)
    digest = hashlib.sha256(content).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": entrypoint or None, "Cmd": None if entrypoint else ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2024-01-01T00:00:00Z", "comment": name}],
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]).encode()
    with tarfile.open(out, "w") as archive:
        add(archive, f"{digest}/layer.tar", content, mode=0o644)
        add(archive, config_name, config, mode=0o644)
        add(archive, "manifest.json", manifest, mode=0o644)


main()
