"""Makes the list that cargo-cyclonedx wrote fit to be published, on stdout.

Takes out where the sources were and when the list was made, which tell of the building machine and not of
the image, and adds the authorities, which are no dependency of the program.

usage: sbom.py LIST SOURCES
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


def main():
    listed, sources = sys.argv[1:]
    text = pathlib.Path(listed).read_text(encoding="utf-8")
    # Refs of the workspace's own crates hold the folder, as a path or percent-encoded.
    for folder in (sources, sources.replace("/", "%2F")):
        text = text.replace(folder, "/build")
    bom = json.loads(text)
    bom["metadata"].pop("timestamp", None)
    bom["components"].append(authorities((pathlib.Path(sources) / "Cargo.lock").read_text(encoding="utf-8")))
    bom["components"].sort(key=lambda component: (component["name"], component["version"]))
    print(json.dumps(bom, indent=2, sort_keys=True))


main()
