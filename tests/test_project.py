"""What holds for the repository as a whole."""
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from helpers import doctor, measure

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_environment_and_pyproject_have_the_same_requirements():
    lines = [line.split("#")[0].strip("- ").strip() for line in (ROOT / "environment.yml").read_text().splitlines()]
    requirements = [line for line in lines if line and ":" not in line]
    assert requirements == ["conda-forge", f"python{PROJECT['requires-python']}", "pip", "e ."], "everything else comes with -e ."


def names(requirements):
    return {re.split(r"[<>=\[]", name)[0].lower().replace("_", "-") for name in requirements}


def test_what_is_imported_is_required():
    required = names(PROJECT["dependencies"]) | {"ipykernel", "nbformat", "nbclient", "markdown-it", "traitlets"}   # the latter with jupyterlab, jupytext and ipywidgets
    modules = {"PIL": "pillow", "IPython": "ipykernel", "skimage": "scikit-image", "sklearn": "scikit-learn"}
    for path in [*ROOT.glob("helpers/**/*.py"), *ROOT.glob("lessons/**/*.py")]:
        for indent, name in re.findall(r"^([ \t]*)(?:import|from) (\w+)", path.read_text(), re.MULTILINE):
            if name not in sys.stdlib_module_names and name != "helpers":
                allowed = required | names(PROJECT["optional-dependencies"]["test"]) if indent else required
                assert modules.get(name, name).replace("_", "-").lower() in allowed, f"{path.name} imports {name}"


def test_no_registry_and_no_machine_path_is_committed():
    for path in tracked():
        if path.suffix in (".safetensors", ".png", ".npz") or path.parent.name == "tests":
            continue
        text = path.read_text()
        for host in ("pypi.org", "pythonhosted.org", "registry.npmjs", "download.pytorch"):
            assert host not in text, f"{path} names {host}"
        for place in (f"{ROOT}/", f"{Path.home()}/"):
            assert place not in text, f"{path} holds {place}"


def test_no_file_is_too_large():
    for path in tracked():
        assert path.stat().st_size < 3e6, path
    assert sum(path.stat().st_size for path in tracked() if path.parent.name == "checkpoints") < 40e6


def test_no_module_of_ours_is_much_over_300_lines():
    for path in ROOT.glob("helpers/**/*.py"):
        assert len(path.read_text().splitlines()) <= 350, path


def test_the_readme_names_what_is_there():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"`make ([\w-]+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
    for link in re.findall(r'src="([^"]+)"', text):
        assert (ROOT / link).exists(), link
    for unit in ROOT.glob("lessons/*/workbook.py"):
        assert f"notebooks/{unit.parent.name}.ipynb" in text


def test_the_practicums_minutes_are_those_of_its_parts():
    minutes = {}
    for lesson in sorted((ROOT / "lessons").glob("*/workbook.py")):
        minutes |= {part: int(took) for part, took in re.findall(r'(?:exercise|predict|part)="([\d.]+)" minutes=(\d+)', lesson.read_text())}
    places = list(minutes)
    route, total = re.search(r"In this order: (.*?)\. These make (\d+) minutes", (ROOT / "README.md").read_text()).groups()
    chosen = [part for stop in route.split(", ") for first, *last in [stop.split(" to ")] for part in places[places.index(first):places.index(last[0] if last else first) + 1]]
    assert len(chosen) == 16 and sum(minutes[part] for part in chosen) == int(total) <= 90


def test_doctor_says_what_works_and_what_to_do_about_the_rest(no_data, capsys):
    doctor.doctor()
    said = capsys.readouterr().out
    assert re.search(r"torch 2\.\d+", said) and "device:" in said and str(no_data) in said
    assert "✓ mnist5k\n" in said and "○ cifar10: Get it once with `python -m helpers.data cifar10`" in said
    assert re.search(r"✓ mnist5k/standard: 9\d\.\d % of 1000 test images right", said)
    assert not no_data.exists()


def test_the_readmes_network_table_is_the_manifests():
    assert measure.table() in (ROOT / "README.md").read_text(), "python -m helpers.measure --table prints it"
