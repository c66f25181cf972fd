#!/usr/bin/env python3
"""Generates the C++ API types from Kubernetes' Go type packages.

    apigen.py --list-outputs | --list-inputs ROOT...
    apigen.py --out DIR ROOT...

ROOT is a folder below which import paths lie (`ROOT/k8s.io/api/core/v1`); the first that has a package wins. Types
that no upstream package has are under `types/` beside this tool, in the same form. Files whose text did not
change keep their time stamp. See src/api/README.md for the mapping.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import cpp_writer  # noqa: E402
import packages as config  # noqa: E402
from go_parser import source_files  # noqa: E402
from model import Model  # noqa: E402

_OWN_TYPES = Path(__file__).resolve().parent / "types"


def _source_name(package, shard):
    return f"{package.name}_{shard}.cc" if package.shards > 1 else f"{package.name}.cc"


def outputs():
    names = ["kinds.cc"]
    for package in config.PACKAGES:
        names.append(f"{package.name}.h")
        names += [_source_name(package, shard) for shard in range(package.shards)]
    return names


def inputs(roots):
    folder = Path(__file__).resolve().parent
    tool = sorted(path for path in folder.glob("*.py") if not path.name.endswith("_test.py"))
    go_files = []
    for package in config.PACKAGES:
        for root in roots:
            if (Path(root) / package.path).is_dir():
                go_files += source_files(Path(root) / package.path)
                break
    return tool + go_files


def _write_if_changed(path, text):
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.write_text(text, encoding="utf-8")


def generate(roots, directory):
    model = Model(roots)
    directory.mkdir(parents=True, exist_ok=True)
    for package in config.PACKAGES:
        _write_if_changed(directory / f"{package.name}.h", cpp_writer.write_header(package, model))
        for shard in range(package.shards):
            source = cpp_writer.write_source(package, model, shard)
            _write_if_changed(directory / _source_name(package, shard), source)
    _write_if_changed(directory / "kinds.cc", cpp_writer.write_kinds_source(model))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list-outputs", action="store_true", help="print the names of the files it writes")
    parser.add_argument("--list-inputs", action="store_true", help="print the paths of the files it reads")
    parser.add_argument("--out", type=Path, help="folder to write to")
    parser.add_argument("roots", nargs="*", help="folders of Go sources")
    arguments = parser.parse_args()
    roots = [*arguments.roots, str(_OWN_TYPES)]
    if arguments.list_outputs:
        print("\n".join(outputs()))
    elif arguments.list_inputs:
        print("\n".join(map(str, inputs(roots))))
    elif arguments.out:
        generate(roots, arguments.out)
    else:
        parser.error("one of --list-outputs, --list-inputs or --out is needed")


if __name__ == "__main__":
    main()
