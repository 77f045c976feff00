"""Looks into every wheel and sdist of a folder: `python .ci/archives.py dist`."""

import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = {
    "hgq_core": {"hgq_core"},
    "hgq_keras": {"hgq_keras", "hgq"},
    "hgq_torch": {"hgq_torch"},
    "hgq_hw": {"hgq_hw"},
}


def complaints(folder: Path) -> list[str]:
    found = []
    for name, packages in PACKAGES.items():
        wheels, sdists = sorted(folder.glob(f"{name}-*.whl")), sorted(folder.glob(f"{name}-*.tar.gz"))
        if len(wheels) != 1 or len(sdists) != 1:
            found.append(f"{name}: expected one wheel and one sdist, found {len(wheels)} and {len(sdists)}")
            continue
        with zipfile.ZipFile(wheels[0]) as archive:
            files = [Path(file) for file in archive.namelist()]
        tops = {file.parts[0] for file in files if not file.parts[0].endswith(".dist-info")}
        if tops != packages:
            found.append(f"{wheels[0].name}: expected only {sorted(packages)} at the top, found {sorted(tops)}")
        found += [f"{wheels[0].name}: {top} has no py.typed" for top in packages if Path(top, "py.typed") not in files]
        if not any(file.name == "LICENSE" for file in files):
            found.append(f"{wheels[0].name}: no LICENSE")
        with tarfile.open(sdists[0]) as archive:
            sources = {str(Path(*Path(file).parts[1:])) for file in archive.getnames()}
        wanted = {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "PKG-INFO"}
        found += [f"{sdists[0].name}: no {file}" for file in sorted(wanted - sources)]
        if not any(file.startswith("tests/") for file in sources):
            found.append(f"{sdists[0].name}: no tests")
        every = [*map(str, files), *sources]
        stray = [file for file in every if "__pycache__" in file or file.endswith((".so", ".o", ".pyc"))]
        found += [f"{name}: {file} does not belong in an archive" for file in stray]
    return found


if __name__ == "__main__":
    problems = complaints(Path(sys.argv[1]))
    print("\n".join(problems) or "every archive holds what it should")
    sys.exit(bool(problems))
