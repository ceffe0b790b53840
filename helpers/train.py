"""Train a committed network again: python -m helpers.train RECIPE [--resume] [--device cuda] [--data FOLDER] [--out FOLDER]

Writes the weights, the untrained twin's for digits, and the manifest's entries with the figures it measured. Killed, it goes on with
--resume and ends with the same weights. Robust networks are measured with AutoAttack too, which needs torchattacks: pip install -e '.[test]'.
Several processes: torchrun --nproc-per-node=K -m helpers.train RECIPE
"""
import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import save
from torch import distributed

from . import data, models
from ._files import whole
from .measure import measure
from .recipes import RECIPES, TOO_LARGE, settings
from .training import train


def dump(manifest):
    """JSON with a line for each innermost record."""
    text = json.dumps(manifest, indent=1)
    flat = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]")
    text = flat.sub(lambda match: re.sub(r"\s*\n\s*", " ", match.group()), text)
    return text + "\n"


def checkpoint(model, out, name):
    """Write `model` in float16; returns the manifest's file and SHA-256."""
    raw = save({key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()})
    file = f"{name.replace('/', '-')}.safetensors"
    with whole(out / file) as part:
        part.write_bytes(raw)
    return {"file": file, "sha256": hashlib.sha256(raw).hexdigest()}


def add(entries, out):
    """Put `entries` into the manifest in `out`; two trainings may end at once."""
    path = out / "manifest.json"
    with FileLock(out / ".manifest.lock"):
        manifest = json.loads(path.read_text()) if path.exists() else {}
        with whole(path) as part:
            part.write_text(dump(dict(sorted((manifest | entries).items()))))


def run(name, out, device, resume):
    """Train, write, measure and enter one recipe; of several processes the first does all but the training alone."""
    recipe = RECIPES[name]
    training, test = data.load(recipe["data"], "train"), data.load(recipe["data"])
    torch.manual_seed(recipe["seed"])
    model = models.build(recipe["network"], len(training.classes), **recipe.get("options", {}))
    entry = {"network": recipe["network"], "classes": len(training.classes), "data": recipe["data"], "recipe": recipe, "command": f"python -m helpers.train {name}"}
    first = not distributed.is_initialized() or distributed.get_rank() == 0
    untrained = f"{name}-untrained"
    if first and recipe["data"] == "mnist5k":
        print("measuring the untrained twin")
        add({untrained: entry | checkpoint(model, out, untrained) | {"note": "the weights that training started from",
                                                                    "measured": measure(model.eval(), test, recipe)}}, out)
    state = out / f"{name.replace('/', '-')}.state"
    history = train(model.to(device), training.images, training.labels, state=state, resume=resume, **settings(recipe))
    if not first:
        return
    model.load_state_dict({key: value.half().to(value.dtype) if value.is_floating_point() else value
                           for key, value in model.state_dict().items()})      # as it will be loaded
    written = checkpoint(model, out, name) | ({"committed": False} if name in TOO_LARGE else {})
    print("measuring")
    measured = measure(model, test.to(device), recipe)
    add({name: entry | written | {"seconds": round(sum(record["seconds"] for record in history), 1), "device": str(device),
                                  "torch": torch.__version__.split("+")[0], "measured": measured}}, out)
    state.unlink()
    print(json.dumps(measured, indent=2))


def main():
    parser = argparse.ArgumentParser(prog="python -m helpers.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", choices=RECIPES, metavar="RECIPE", help="one of --list")
    parser.add_argument("--list", action="store_true", help="print the recipes and leave")
    parser.add_argument("--resume", action="store_true", help="go on where a killed training was, after its last whole epoch")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: cuda where there is one)")
    parser.add_argument("--data", type=Path, help="the data folder (default: $WORKBOOK_DATA, else the user's cache folder)")
    parser.add_argument("--out", type=Path, default=models.CHECKPOINTS, help="the folder of weights and manifest.json")
    options = parser.parse_args()
    if options.list or not options.recipe:
        for name, recipe in RECIPES.items():
            print(name, json.dumps(recipe))
        return
    if options.data:
        os.environ["WORKBOOK_DATA"] = str(options.data)
    several = "LOCAL_RANK" in os.environ    # torchrun says so
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True   # resumed as if never killed
        if several:
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
    if several:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        run(options.recipe, options.out, device, options.resume)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{options.recipe}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{options.recipe}: interrupted. The same command with --resume goes on after the last whole epoch.")
    finally:
        if several:
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
