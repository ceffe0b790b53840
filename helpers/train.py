"""Train a committed network again: python -m helpers.train RECIPE [--resume] [--device cuda] [--data FOLDER] [--out FOLDER]

Writes the weights, the untrained twin's for digits, and the manifest's entries with the figures it measured. Killed, it goes on with
--resume and ends with the same weights. Robust networks are measured with AutoAttack too, which needs torchattacks: pip install -e '.[test]'.
Several processes: torchrun --nproc-per-node=K -m helpers.train RECIPE
"""
import argparse
import contextlib
import copy
import hashlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import torch
from filelock import FileLock, Timeout
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
    """Train, measure, write and enter one recipe; of several processes the first does all but the training alone."""
    recipe = RECIPES[name]
    if recipe.get("eps") and not importlib.util.find_spec("torchattacks"):
        raise ValueError("robust networks are measured with AutoAttack, from torchattacks: pip install -e '.[test]' first.")
    training, test = data.load(recipe["data"], "train"), data.load(recipe["data"])
    with torch.random.fork_rng():
        torch.manual_seed(recipe["seed"])
        model = models.build(recipe["network"], len(training.classes), **recipe.get("options", {}))
    untrained = copy.deepcopy(model).eval()
    state = out / f"{name.replace('/', '-')}.state"
    history = train(model.to(device), training.images, training.labels, state=state, resume=resume, **settings(recipe))
    if distributed.is_initialized():
        distributed.destroy_process_group()     # the others need not wait while the first measures
    if not history:
        return
    entry = {"network": recipe["network"], "classes": len(training.classes), "data": recipe["data"], "recipe": recipe,
             "command": f"python -m helpers.train {name}"}
    about = {"seconds": round(sum(record["seconds"] for record in history), 1), "device": device.type, "torch": torch.__version__.split("+")[0]}
    enter(name, model, entry | about | ({"committed": False} if name in TOO_LARGE else {}), test.to(device), out)
    if recipe["data"] == "mnist5k":
        enter(f"{name}-untrained", untrained, entry | {"note": "the weights that training started from"}, test, out)
    state.unlink()


def enter(name, model, entry, test, out):
    """Measure the network as it will be loaded, then write its weights and its entry together."""
    model.load_state_dict({key: value.half().to(value.dtype) if value.is_floating_point() else value for key, value in model.state_dict().items()})
    print(f"measuring {name}")
    measured = measure(model, test, entry["recipe"])
    add({name: entry | checkpoint(model, out, name) | {"measured": measured}}, out)
    print(json.dumps(measured, indent=2))


def main():
    parser = argparse.ArgumentParser(prog="python -m helpers.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", choices=RECIPES, metavar="RECIPE", help="one of --list")
    parser.add_argument("--list", action="store_true", help="print the recipes and leave")
    parser.add_argument("--resume", action="store_true", help="go on where a killed training was, after its last whole epoch")
    parser.add_argument("--device", type=torch.device, help="cpu, cuda, cuda:1, mps (default: cuda where there is one)")
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
    device = options.device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if several and device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if several:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    first = os.environ.get("RANK", "0") == "0"
    options.out.mkdir(parents=True, exist_ok=True)
    alone = FileLock(options.out / f".{options.recipe.replace('/', '-')}.lock", timeout=0) if first else contextlib.nullcontext()
    try:
        with alone:
            run(options.recipe, options.out, device, options.resume)
    except Timeout:
        sys.exit(f"{options.recipe}: another process is training it into {options.out} already.")
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{options.recipe}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{options.recipe}: interrupted. The same command with --resume goes on after the last whole epoch.")


if __name__ == "__main__":
    main()
