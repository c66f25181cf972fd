#!/usr/bin/env python3
"""Runs `.test` files: shell commands and the output a user would see, readable as a specification.

    # A comment.
    $ kubectl get pods            the command; its standard output and error must equal the lines below
    No resources found in default namespace.

    $ kubectl create -f - <<EOF   lines that begin with "> " go on with the command (here-documents)
    > kind: Pod
    > EOF
    pod/redis created

    $~ kubectl get pod redis      tried again until the output fits (30 s at most; `$~5s` for 5 s)
    NAME    READY   STATUS    RESTARTS   AGE
    redis   1/1     Running   0          {{\\d+s}}

    $ kubectl get pod nope        a line `[1]` after the output: the exit code expected (0 where none is given)
    Error from server (NotFound): pods "nope" not found
    [1]

In expected lines `{{...}}` is a regular expression and a line `...` stands for any lines. Runs of spaces are equal, so
that tables need no counting. Commands of one file run in one folder, one after the other, each in a shell of its own;
variables that `export` in an earlier command set are kept.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

DEFAULT_WAIT = 30.0
COMMAND_TIMEOUT = 120.0
STOP_TIMEOUT = 10.0
COMMAND = re.compile(r"^\$(~(?:(\d+)s)?)? (.*)$")


class Step:
    def __init__(self, line_number, text, wait):
        self.line_number = line_number
        self.lines = [text]
        self.wait = wait
        self.expected = []
        self.code = 0


def parse(path):
    steps = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        command = COMMAND.match(line)
        if command:
            wait = 0.0
            if command.group(1):
                wait = float(command.group(2) or DEFAULT_WAIT)
            steps.append(Step(number, command.group(3), wait))
        elif not steps:
            if line.strip():
                raise SystemExit(f"{path}:{number}: expected a command, found: {line}")
        elif line.startswith("> ") or line == ">":
            steps[-1].lines.append(line[2:])
        elif re.fullmatch(r"\[\d+\]", line):
            steps[-1].code = int(line[1:-1])
        else:
            steps[-1].expected.append(line)
    for step in steps:
        while step.expected and not step.expected[-1].strip():
            step.expected.pop()
    return steps


def line_pattern(line):
    parts = re.split(r"\{\{(.*?)\}\}", line.rstrip())
    pattern = ""
    for index, part in enumerate(parts):
        pattern += part if index % 2 else re.sub(r"(?:\\ )+", r"\\s+", re.escape(part))
    return pattern


def matches(expected, output):
    # Empty lines at the end separate one command from the next here, and say nothing there.
    output = output.rstrip("\n") + "\n" if output.strip() else ""
    pattern = ""
    for line in expected:
        pattern += r"(?:.*\n)*?" if line.strip() == "..." else line_pattern(line) + r"[ \t]*\n"
    return re.fullmatch(pattern, output) is not None


class Runner:
    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "TRIREME_SCRIPT": folder}

    def end_components(self):
        """Ends what the script started of the product and, when a command failed, did not come to stop."""
        marker = f"TRIREME_SCRIPT={self.folder}".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                ours = os.readlink(process / "exe").endswith("/trireme") and marker in (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if not ours:
                continue
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process.name), number)
                deadline = time.monotonic() + STOP_TIMEOUT
                while process.exists() and time.monotonic() < deadline:
                    time.sleep(0.02)

    def run(self, step):
        saved = os.path.join(self.folder, ".environment")
        script = "\n".join(step.lines) + f'\n__code=$?\nenv -0 >"{saved}"\nexit $__code\n'
        try:
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_TIMEOUT,
            )
        except subprocess.TimeoutExpired as expired:
            text = (expired.stdout or b"").decode("utf-8", "replace")
            return f"{text}\n(no end within {COMMAND_TIMEOUT:.0f} s)\n", -1
        if os.path.exists(saved):
            pairs = pathlib.Path(saved).read_bytes().decode("utf-8", "replace").split("\0")
            self.environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        text = done.stdout.decode("utf-8", "replace")
        if text and not text.endswith("\n"):
            text += "\n"
        return text, done.returncode

    def satisfied(self, step):
        deadline = time.monotonic() + step.wait
        while True:
            output, code = self.run(step)
            if code == step.code and matches(step.expected, output):
                return None
            if time.monotonic() >= deadline:
                return output, code
            time.sleep(0.1)


def main():
    failures = 0
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        steps = parse(path)
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(folder)
            for step in steps:
                failed = runner.satisfied(step)
                if failed is None:
                    continue
                output, code = failed
                print(f"{path}:{step.line_number}: $ " + "\n> ".join(step.lines))
                print("--- expected" + (f" (exit code {step.code})" if step.code else ""))
                print("\n".join(step.expected))
                print(f"--- got (exit code {code})")
                print(output, end="")
                failures += 1
                break
            else:
                print(f"{path.name}: {len(steps)} commands as expected")
            runner.end_components()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
