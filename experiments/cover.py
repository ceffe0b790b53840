"""The README's picture: a fooled network, and what a standard and a robust network's gradients look like. Writes results/cover.png."""
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from helpers import attacks, data, models, plots
from helpers.attribution import input_gradient

test = data.load("mnist5k")
standard, robust = models.load("mnist5k/standard"), models.load("mnist5k/robust-l2")
eight = test.per_class(1)[1:9]
attacked = attacks.pgd(standard, eight.images, eight.labels, eps=2.0, norm="l2", steps=40)
rows = {"a digit": eight.images, "a small change,\namplified": attacked - eight.images, "both: misread": attacked}
rows |= {f"what the {name}\nnetwork looks at": (g := input_gradient(net, eight.images, eight.labels)) / g.abs().amax((1, 2, 3), keepdim=True)
         for name, net in (("standard", standard), ("robust", robust))}

figure, axes = plt.subplots(len(rows), 8, figsize=(9.6, 6.4), layout="constrained")
for row, (name, images) in zip(axes, rows.items()):
    said = plots.verdicts(standard, images, test.classes) if name in ("a digit", "both: misread") else [""] * 8
    limit = 0.5 if "change" in name else 1
    for ax, image, title in zip(row, images, said):
        plots.show_image(ax, image, title, signed="digit" not in name and "both" not in name, limit=limit)
    row[0].text(-0.12, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
out = Path(__file__).parent.parent / "results" / "cover.png"
out.parent.mkdir(exist_ok=True)
figure.savefig(out, dpi=90)
assert attacks.fooled(standard, attacked, eight.labels).all() and torch.isfinite(attacked).all()
