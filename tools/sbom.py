"""Write the contents of .venv as a CycloneDX document: build/sbom.json."""

import argparse
import subprocess
import sys
from pathlib import Path

from tools.testbed.readme import ROOT

SBOM_FILE = ROOT / "build" / "sbom.json"


def main() -> int:
    """Write the file, and print its path."""
    SBOM_FILE.parent.mkdir(exist_ok=True)
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), "environment", sys.prefix]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    command += ["--output-format", "JSON", "--output-file", str(SBOM_FILE)]
    done = subprocess.run(command, check=False)
    print(SBOM_FILE.relative_to(ROOT))  # noqa: T201
    return done.returncode


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
