"""Copy new exercises to my-work/ and open JupyterLab at unit 00: python -m helpers.lab [options for jupyter lab]."""
import os
import shutil
import sys

from ._files import whole
from .lesson import LESSONS

ROOT = LESSONS.parent
LARGEST_UPLOAD = 100_000_000   # bytes; a message above this ends the connection to the kernel, below it a widget can say what is wrong


def copy_exercises(root=ROOT):
    """Copy what is new in exercises/ to my-work/; what lies there already is the learner's and stays."""
    for source in sorted((root / "exercises").glob("*.ipynb")):
        target = root / "my-work" / source.name
        if not target.exists():
            with whole(target) as part:
                shutil.copy(source, part)


def main(options):
    copy_exercises()
    here = [
        "--ip=localhost",           # only this computer can connect, and only with the token, which stays on
        f"--ServerApp.root_dir={ROOT}",
        "--LabApp.default_url=/lab/tree/my-work/00_start_here.ipynb",
        f"--ServerApp.tornado_settings={{'websocket_max_message_size': {LARGEST_UPLOAD}}}",
    ]
    if hasattr(os, "getuid") and os.getuid() == 0:
        here.append("--allow-root")   # a bare container has no other user
    # helpers/labconfig switches off the news, which would need a network and greet a learner with a question about them.
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(ROOT / "helpers"), os.environ.get("JUPYTER_CONFIG_PATH")]))
    from jupyterlab.labapp import main as lab
    sys.exit(lab([*here, *options]))


if __name__ == "__main__":
    main(sys.argv[1:])
