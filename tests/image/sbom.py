"""Whether a list of what is in the image is whole and fit to be published.

Every crate that cargo says the program is made from has to be in it with its version, and nothing of the
building machine or of the time.

usage: sbom.py LIST TRIPLE
"""

import json
import os
import pathlib
import subprocess
import sys

PROGRAM = "ses-smtp-operator"


def crates(triple):
    """Name and version of everything that the program is built from, itself too."""
    command = ["cargo", "tree", "--locked", "--package", PROGRAM, "--edges", "normal", "--target", triple]
    tree = subprocess.run([*command, "--prefix", "none", "--format", "{p}"], check=True, capture_output=True, text=True)
    # serde v1.0.228 (proc-macro) (/some/path) (*)
    words = (line.split() for line in tree.stdout.splitlines() if line)
    return {(word[0], word[1].removeprefix("v")) for word in words}


def check(text, expected):
    """What is wrong with the list, in words."""
    bom = json.loads(text)
    listed = {(part["name"], part["version"]) for part in [*bom["components"], bom["metadata"]["component"]]}
    problems = [f"{name} {version} is missing" for name, version in sorted(expected - listed)]
    names = {name for name, _ in listed}
    problems += [f"{name} is missing" for name in ("webpki-root-certs", "rust-std") if name not in names]
    for part in bom["components"]:
        if not part.get("licenses"):
            problems.append(f"{part['name']} has no licence")
    for place in (os.getcwd(), str(pathlib.Path.home()) + "/", os.environ.get("CARGO_HOME", "/.cargo/")):
        if place in text:
            problems.append(f"it holds {place}, a path of this machine")
    for word in ("timestamp", "serialNumber"):
        if f'"{word}"' in text:
            problems.append(f"it holds a {word}")
    return problems, len(listed)


def main():
    listed, triple = sys.argv[1:]
    expected = crates(triple)
    problems, count = check(pathlib.Path(listed).read_text(encoding="utf-8"), expected)
    for problem in problems:
        print(f"{listed}: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{listed}: {count} parts, among them all {len(expected)} crates of the program for {triple}")


main()
