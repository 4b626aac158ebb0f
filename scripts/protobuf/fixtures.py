#!/usr/bin/env python3
"""Collects what Kubernetes's own encoder wrote for each type that is served, for the tests of ours.

usage: fixtures.py <clone of kubernetes/api> <branch> > crates/apiserver/src/protobuf/fixtures.gz

The objects come from the clone's `testdata/HEAD`: every field is filled, every text says which field it
is in. The file holds, packed: length and name of the type, length and bytes of the body (lengths in 4
bytes, big endian).
"""

import gzip
import pathlib
import struct
import subprocess
import sys

SCHEMA = pathlib.Path(__file__).parents[2] / "crates/api/src/schema/table.txt"


def git(*arguments):
    return subprocess.run(["git", "-C", sys.argv[1], *arguments], check=True, capture_output=True).stdout


def type_name(path, known):
    *group, version, kind, _ = path.rsplit("/", 1)[1].split(".")
    name = f"{group[0]}.{version}.{kind}"
    if name in known:
        return f"io.k8s.api.{name}"
    if f"~apis.meta.{version}.{kind}" in known:
        return f"io.k8s.apimachinery.pkg.apis.meta.{version}.{kind}"
    return None


def main():
    branch = sys.argv[2]
    known = {line.split(" ")[0] for line in SCHEMA.read_text().splitlines()}
    packed = b""
    for path in git("ls-tree", "-r", "--name-only", branch, "testdata/HEAD").decode().split():
        name = type_name(path, known) if path.endswith(".pb") else None
        # This one has no envelope.
        if name is None or name.endswith(".WatchEvent"):
            continue
        body = git("show", f"{branch}:{path}")
        packed += struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(body)) + body
    sys.stdout.buffer.write(gzip.compress(packed, 9, mtime=0))


main()
