"""Reads `cargo metadata` from standard input and names packages whose licence the project cannot carry."""

import json
import re
import sys

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}


def carried(expression):
    plain = re.sub(r"[()]", "", expression or "none").replace("/", " OR ")
    return all(any(one.strip() in ALLOWED for one in part.split(" OR ")) for part in plain.split(" AND "))


packages = json.load(sys.stdin)["packages"]
bad = [f"{package['name']}: {package['license']}" for package in packages if not carried(package["license"])]
if bad:
    sys.exit("licences to look at:\n  " + "\n  ".join(bad))
print(f"the licences of {len(packages)} packages are in order")
