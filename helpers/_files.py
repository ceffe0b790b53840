"""Files that are written whole or not at all."""
import contextlib
import os


@contextlib.contextmanager
def whole(path):
    """Yields a path to write to; what was written there takes the place of `path` at the end, or goes if an error ends it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
