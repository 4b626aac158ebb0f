#!/usr/bin/env python3
"""Derives the table of protobuf field numbers from Kubernetes's Go types.

usage: numbers.py <folder with clones of kubernetes/{api,apimachinery,apiextensions-apiserver,kube-aggregator}> <branch>
           > crates/apiserver/src/protobuf/numbers.txt

Only facts are taken: for each struct the JSON names of its fields, their numbers, whether a zero is
a value of its own (a pointer in Go), and which structs are inlined. Clones may be bare. Types and fields
that `crates/api/src/schema/table.txt` does not have are left out.
"""

import pathlib
import re
import subprocess
import sys

GROUPS = (
    "admissionregistration apps authentication authorization autoscaling batch certificates coordination core discovery"
    " events flowcontrol networking node policy rbac resource scheduling storage"
).split()
REF = sys.argv[2]
SCHEMA = pathlib.Path(__file__).parents[2] / "crates/api/src/schema/table.txt"
FIELD = re.compile(r'^\t(?:(\w+)\s+)?([*\[\]\w.]+)\s+`json:"([^"]*)"[^`]*?\sprotobuf:"\w+,(\d+),')
SCALARS = {"string", "bool", "int", "int32", "int64", "float64"}


def source(repository, path):
    return subprocess.run(["git", "-C", repository, "show", f"{REF}:{path}"], check=True, capture_output=True, text=True).stdout


def structs(text):
    """Yields the name and the lines of each struct."""
    for match in re.finditer(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
        yield match[1], match[2].split("\n")


def aliases(text):
    """Named scalars: a pointer to one is a pointer to a scalar."""
    return {match[1] for match in re.finditer(r"^type (\w+) (\w+)\s*$", text, re.M) if match[2] in SCALARS}


def qualified(kind, prefix):
    return f"{prefix}.{kind}"


def fields(lines, prefix, scalars, known):
    for line in lines:
        match = FIELD.match(line)
        if not match:
            continue
        _, kind, json, number = match.groups()
        json = json.split(",")[0]
        if json == "":
            yield f"*{number}={qualified(kind.lstrip('*').split('.')[-1], prefix)}"
            continue
        if known is not None and json not in known:
            continue
        own_zero = kind.startswith("*") and kind[1:].split(".")[-1] in scalars
        yield f"{json}={number}{'?' if own_zero else ''}"


def schema():
    """The names of the fields of each type that is served."""
    types = {}
    for line in SCHEMA.read_text().splitlines():
        name, *words = line.split(" ")
        types[name] = {word.split(":")[0].rstrip("!") for word in words if ":" in word}
    return types


def main():
    clones = pathlib.Path(sys.argv[1])
    api = clones / "api"
    sources = [(f"{group}.v1", source(api, f"{group}/v1/types.go")) for group in GROUPS]
    sources.append(("autoscaling.v2", source(api, "autoscaling/v2/types.go")))
    sources.append(("~apis.meta.v1", source(clones / "apimachinery", "pkg/apis/meta/v1/types.go")))
    extensions = clones / "apiextensions-apiserver"
    text = source(extensions, "pkg/apis/apiextensions/v1/types.go")
    text += source(extensions, "pkg/apis/apiextensions/v1/types_jsonschema.go")
    sources.append(("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1", text))
    text = source(clones / "kube-aggregator", "pkg/apis/apiregistration/v1/types.go")
    sources.append(("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1", text))
    scalars = SCALARS.union(*(aliases(text) for _, text in sources), {"UID", "NodeName", "NamespacedName"})
    types = schema()
    found = {}
    for prefix, text in sorted(sources):
        for name, lines in sorted(structs(text)):
            known = types.get(f"{prefix}.{name}")
            words = list(fields(lines, prefix, scalars, known))
            if words:
                found[f"{prefix}.{name}"] = (words, known is not None)
    inlined = {word.split("=")[1] for words, _ in found.values() for word in words if word.startswith("*")}
    for name, (words, known) in found.items():
        if known or name in inlined:
            print(name, *words)


main()
