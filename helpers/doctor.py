"""What works here, and what to do about the rest: doctor(), or python -m helpers.doctor."""
import platform
from importlib import metadata

import torch

from . import data, models

PACKAGES = ("torch", "torchvision", "jupyterlab", "ipywidgets", "matplotlib", "shap", "nbval")


def doctor():
    """Print versions, the device, which image sets and networks are usable, and what to do about the others."""
    print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    gpu = torch.cuda.is_available()
    print(f"device: {torch.cuda.get_device_name() if gpu else f'CPU with {torch.get_num_threads()} threads (all the course needs)'}")
    print(f"data folder: {data.folder()}" + ("" if data.folder().is_dir() else " (not there yet; it is made when you fetch something)"))
    print("\nimage sets (✓ is all the lessons need; ○ is for sections called \"With the full data\")")
    for name in data.SETS:
        there = data.available(name)
        print(f"  {'✓' if there else '○'} {name}" + ("" if there else f": {data.how_to_get(name)}"))
    print("\nnetworks")
    for name in models.names():
        try:
            models.load(name)
            measured = models.info(name)["measured"]["clean"]
            print(f"  ✓ {name}" + ("" if "untrained" in name else f": {100 * measured['share']:.1f} % of {measured['n']} test images right"))
        except (OSError, ValueError) as error:
            print(f"  ✗ {name}: {error}")


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing: run `make lab` again, or pip install -e ."


if __name__ == "__main__":
    doctor()
