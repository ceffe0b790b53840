"""Explorers, one module each; a film player; a picker of images. The pattern is in `explorer.py`, how to add one in CONTRIBUTING.md."""
from .attack import attack_explorer
from .evidence import detector_explorer, eps_explorer, switchboard_explorer
from .explorer import Explorer, Picture
from .features import cutoff_explorer, mixer_explorer, set_explorer
from .film import Film
from .learning import training_film
from .local import occlusion_explorer, path_explorer, smoothgrad_explorer
from .neurons import inversion_explorer, neuron_explorer
from .noise import noise_explorer
from .picker import ImagePicker
from .robust import dashboard_explorer, duel_explorer, traversal_explorer, traversal_film
from .saliency import colour_saliency_explorer, saliency_explorer
from .why import blind_explorer, dimension_explorer, line_explorer, linear_explorer, transfer_explorer

EXPLORERS = {   # by unit: each is tested with and without a browser, and timed by `make bench`
    "00 noise": noise_explorer,
    "01 saliency": saliency_explorer,
    "01 saliency in colour": colour_saliency_explorer,
    "02 SmoothGrad": smoothgrad_explorer,
    "02 occlusion": occlusion_explorer,
    "02 path": path_explorer,
    "03 attack": attack_explorer,
    "04 dimension": dimension_explorer,
    "04 linear": linear_explorer,
    "04 line": line_explorer,
    "04 transfer": transfer_explorer,
    "04 blind test": blind_explorer,
    "05 made sets": set_explorer,
    "05 cut-off": cutoff_explorer,
    "05 mixer": mixer_explorer,
    "06 traversal": traversal_explorer,
    "06 duel": duel_explorer,
    "06 training": dashboard_explorer,
    "07 neurons": neuron_explorer,
    "07 inversion": inversion_explorer,
    "08 grid": eps_explorer,
    "08 switchboard": switchboard_explorer,
    "08 detector": detector_explorer,
}
