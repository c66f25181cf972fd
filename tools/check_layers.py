#!/usr/bin/env python3
"""Checks the shape of the house: which folder includes which, how large files are, and what may stand in them.

The include rules are the right-hand column of ARCHITECTURE.md. Run by ./check; prints every violation as
file:line: message and exits 1 when there is one.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 1000

# module -> modules it may include (base and the module itself always)
LAYERS = {
    "base": set(),
    "linux": set(),
    "net": set(),
    "api": set(),
    "store": set(),
    "client": {"api", "net"},
    "apiserver": {"api", "store", "net", "client"},
    "controllers": {"client", "api", "net"},
    "scheduler": {"client", "net", "api"},
    "kubelet": {"client", "linux", "net", "api"},
    "proxy": {"client", "linux", "net", "api"},
    "overlay": {"client", "linux", "api", "net"},
    "policy": {"client", "linux", "api"},
    "dns": {"client", "net", "api"},
    "ingress": {"client", "linux", "net", "api"},
    "join": {"client", "linux", "net", "api"},
    "kubecfg": {"client", "api", "net"},
    "simulator": {"api", "net", "store", "client", "apiserver", "controllers", "scheduler"},
}
ANYTHING = {"cmd"}

# Libraries whose headers cost seconds to compile: sources only.
HEAVY = re.compile(r'#include [<"](boost/|grpc|simdjson|yaml-cpp|nghttp2|sqlite3|openssl|google/protobuf|date/)')
INCLUDE = re.compile(r'\s*#include "([^"/]+)/')
SOURCE_ENDINGS = {".h", ".cc", ".py", ".sh", ".cmake"}


def tracked_files():
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def check_includes(path, lines, complain):
    parts = path.relative_to(ROOT).parts
    if parts[0] != "src" or path.suffix not in {".h", ".cc"}:
        return
    module = parts[1]
    is_test = path.name.endswith("_test.cc") or "testing" in parts
    for number, line in enumerate(lines, 1):
        if path.suffix == ".h" and HEAVY.match(line):
            complain(path, number, "a heavy library's header belongs in a source file")
        found = INCLUDE.match(line)
        if not found or module in ANYTHING:
            continue
        target = found.group(1)
        if target == "support":
            if not is_test:
                complain(path, number, "test support included outside a test")
            continue
        known = target in LAYERS or target in ANYTHING
        # A test may build on the real API server and its store: never on a fake of them.
        if is_test and target in {"store", "apiserver", "net"}:
            continue
        if known and target not in {module, "base"} and target not in LAYERS.get(module, set()):
            complain(path, number, f"{module} may not include {target}")


def main():
    problems = []

    def complain(path, number, message):
        problems.append(f"{path.relative_to(ROOT)}:{number}: {message}")

    for path in tracked_files():
        if path.suffix not in SOURCE_ENDINGS and path.name not in {"run", "check"}:
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > MAX_LINES:
            complain(path, len(lines), f"{len(lines)} lines; the limit is {MAX_LINES}: split it by behaviour")
        check_includes(path, lines, complain)

    for problem in problems:
        print(problem)
    print(f"layers and sizes: {len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
