#!/usr/bin/env python3
"""Derives the table of protobuf field numbers from Kubernetes's Go types.

usage: numbers.py <clones of kubernetes/api, kubernetes/apimachinery and kubernetes/kube-aggregator> > crates/apiserver/src/protobuf/numbers.txt

Only facts are taken: for each struct the JSON names of its fields, their numbers, whether a zero is
a value of its own (a pointer in Go), and which structs are inlined. Clones may be bare.
"""

import re
import subprocess
import sys

GROUPS = (
    "admissionregistration apps authentication authorization autoscaling batch certificates coordination core discovery "
    "events flowcontrol networking node policy rbac resource scheduling storage"
).split()
FIELD = re.compile(r'^\t(?:(\w+)\s+)?([*\[\]\w.]+)\s+`json:"([^"]*)"[^`]*?\sprotobuf:"\w+,(\d+),')
SCALARS = {"string", "bool", "int", "int32", "int64", "float64"}


def source(repository, path):
    return subprocess.run(["git", "-C", repository, "show", f"HEAD:{path}"], check=True, capture_output=True, text=True).stdout


def structs(text):
    """Yields the name and the lines of each struct."""
    for match in re.finditer(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
        yield match[1], match[2].split("\n")


def aliases(text):
    """Named scalars: a pointer to one is a pointer to a scalar."""
    return {match[1] for match in re.finditer(r"^type (\w+) (\w+)\s*$", text, re.M) if match[2] in SCALARS}


def qualified(kind, prefix):
    return f"{prefix}.{kind}"


def fields(lines, prefix, scalars):
    for line in lines:
        match = FIELD.match(line)
        if not match:
            continue
        _, kind, json, number = match.groups()
        json = json.split(",")[0]
        if json == "":
            yield f"*{number}={qualified(kind.lstrip('*').split('.')[-1], prefix)}"
            continue
        own_zero = kind.startswith("*") and kind[1:].split(".")[-1] in scalars
        yield f"{json}={number}{'?' if own_zero else ''}"


def main():
    api, machinery, aggregator = sys.argv[1:]
    sources = [(f"{group}.v1", source(api, f"{group}/v1/types.go")) for group in GROUPS]
    sources.append(("~apis.apiregistration.v1", source(aggregator, "pkg/apis/apiregistration/v1/types.go")))
    sources.append(("~apis.meta.v1", source(machinery, "pkg/apis/meta/v1/types.go")))
    scalars = SCALARS.union(*(aliases(text) for _, text in sources), {"UID", "NodeName", "NamespacedName"})
    for prefix, text in sorted(sources):
        for name, lines in sorted(structs(text)):
            if found := list(fields(lines, prefix, scalars)):
                print(prefix + "." + name, *found)


main()
