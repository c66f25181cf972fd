#!/usr/bin/env python3
"""Checks the systemd units: `systemd-analyze verify` finds nothing, and every command line is one that its program takes.

    units.py PROGRAM-FOLDER

The units name /opt/kubernetes/bin; they are checked as copies that name the folder just built. Exits 77 without
systemd-analyze.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

INSTALLED = "/opt/kubernetes/bin"
UNITS = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/systemd"


def wrong_flags(unit, text, programs):
    """What a unit's program says of the unit's own flags."""
    command = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.M).group(1))
    words = [word for word in command if word != "$FLAGS"]
    program = os.path.join(programs, os.path.basename(words[0]))
    if not os.path.exists(program):
        return [f"{unit.name}: there is no {os.path.basename(words[0])} in {programs}"]
    done = subprocess.run([program, *words[1:], "--help"], capture_output=True, text=True, check=False, timeout=30)
    return [] if done.returncode == 0 else [f"{unit.name}: {done.stderr.strip()}"]


def main():
    programs = os.path.abspath(sys.argv[1])
    units = sorted(UNITS.glob("*.service"))
    problems = [] if units else [f"no units in {UNITS}"]
    with tempfile.TemporaryDirectory() as folder:
        for unit in units:
            text = unit.read_text()
            problems += wrong_flags(unit, text, programs)
            if f"EnvironmentFile=-/etc/default/{unit.stem}\n" not in text:
                problems.append(f"{unit.name}: its flags do not come from /etc/default/{unit.stem}")
            text = text.replace(INSTALLED, programs)
            # Other units and pages of a machine that may not be this one.
            text = re.sub(r"^(Documentation|Wants=containerd).*\n", "", text, flags=re.M)
            pathlib.Path(folder, unit.name).write_text(text)
        if shutil.which("systemd-analyze") is None:
            print("\n".join(problems))
            if problems:
                return 1
            print("skipped: needs systemd-analyze for the rest")
            return 77
        copies = [str(path) for path in sorted(pathlib.Path(folder).iterdir())]
        verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True,
                                  check=False)
        # Of the machine's own units it tells, too.
        own = [line for line in (verified.stdout + verified.stderr).splitlines() if folder in line or "trireme" in line]
        problems += own
    print("\n".join(problems) or f"{len(units)} units are as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
