"""Makes the list that cargo-cyclonedx wrote fit to be published, on stdout.

Takes out where the sources were and when the list was made, which tell of the building machine and not of
the image, and adds what is no dependency of the program: the authorities and Rust's own libraries. A second list, for the machine that
builds, brings in what only its compiler's plugins (procedural macros) are made of: it has a part in the program
without being in it.

usage: sbom.py LIST LIST_OF_BUILDER SOURCES RUST_VERSION TRIPLE
"""

import json
import pathlib
import re
import sys

NAME = "webpki-root-certs"


def authorities(lock):
    """The list of authorities as a component, out of Cargo.lock."""
    entry = re.search(rf'name = "{NAME}"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"', lock)
    version, checksum = entry.groups()
    purl = f"pkg:cargo/{NAME}@{version}"
    return {
        "type": "data",
        "bom-ref": purl,
        "name": NAME,
        "version": version,
        "description": "Mozilla's certificate authorities, as /etc/ssl/certs/ca-certificates.crt",
        "hashes": [{"alg": "SHA-256", "content": checksum}],
        "licenses": [{"expression": "CDLA-Permissive-2.0"}],
        "purl": purl,
    }


def standard_library(version, triple):
    """Rust's own libraries, which are in every program, and the C library that comes with them."""
    purl = f"pkg:generic/rust-std@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": "rust-std",
        "version": version,
        "description": f"Rust's standard library for {triple}, with the C library that it brings along",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "purl": purl,
    }


def read(listed, sources):
    """A list without the folder that the sources were in, which stands in references, plain or encoded."""
    text = pathlib.Path(listed).read_text(encoding="utf-8")
    for folder in (sources, sources.replace("/", "%2F")):
        text = text.replace(folder, "/build")
    return json.loads(text)


def join(bom, builder):
    """Adds to `bom` what only `builder` has, as not being there at run time."""
    known = {part["bom-ref"] for part in bom["components"]}
    for part in builder["components"]:
        if part["bom-ref"] not in known:
            bom["components"].append({**part, "scope": "excluded"})
    needs = {entry["ref"]: entry for entry in bom["dependencies"]}
    for entry in builder["dependencies"]:
        ours = needs.setdefault(entry["ref"], {"ref": entry["ref"]})
        both = {*ours.get("dependsOn", []), *entry.get("dependsOn", [])}
        if both:
            ours["dependsOn"] = sorted(both)
    bom["dependencies"] = [needs[ref] for ref in sorted(needs)]


def main():
    listed, builder, sources, rust, triple = sys.argv[1:]
    bom = read(listed, sources)
    join(bom, read(builder, sources))
    bom["metadata"].pop("timestamp", None)
    lock = (pathlib.Path(sources) / "Cargo.lock").read_text(encoding="utf-8")
    bom["components"] += [authorities(lock), standard_library(rust, triple)]
    bom["components"].sort(key=lambda part: (part["name"], part["version"]))
    print(json.dumps(bom, indent=2, sort_keys=True))


main()
