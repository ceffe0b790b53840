"""Blind spots of "Intriguing properties of neural networks" (Szegedy et al. 2013, arXiv:1312.6199, section 4.2), ours beside theirs.

    python -m experiments.blind_spots                   full MNIST: about 25 minutes of one core; writes results/blind_spots.json
    python -m experiments.blind_spots mnist5k           the small set: about 15 minutes; writes results/blind_spots-mnist5k.json
    python -m experiments.blind_spots mnist halves      one of its tables alone; two of them can run side by side

Tables: "halves" (networks trained on disjoint halves of the data), "networks" (regularisation, depth, another start), "defences" (what was hoped to help),
"layers" (examples made at the input or at a hidden layer, as training data). A table that is in the file already is not made again; one that a stop left unfinished is. Examples come from
box-constrained L-BFGS towards a random wrong class, with the largest c that still succeeds; the errors they cause are shares of all pictures,
those that a network gets wrong without help included. distortion: the root mean square change of a pixel.
"""
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from helpers import attacks, data
from helpers._files import whole
from helpers.measure import share
from helpers.training import train

RESULTS = Path(__file__).parent.parent / "results"
STRONG = 0.1        # the standard deviation to which the examples are amplified


def fc(*hidden, activation=nn.Sigmoid, dropout=0.0):
    """Fully connected, with sigmoids as in the paper; no hidden layer: a softmax regression."""
    layers, widths = [nn.Flatten()], (784, *hidden)
    for inputs, outputs in zip(widths, hidden):
        layers += [nn.Linear(inputs, outputs), activation(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


class Average(nn.Module):
    """The logarithm of the networks' mean probabilities."""

    def __init__(self, *networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x):
        return torch.stack([net(x).softmax(1) for net in self.networks]).mean(0).clamp_min(1e-30).log()


def softmax_regression(images, decay):
    """Weights that minimise cross-entropy + decay |w|^2 / 10, to the optimum; the paper divides by the number of units of the layer."""
    x = torch.cat([images.images.flatten(1), torch.ones(len(images), 1)], 1)

    def objective(w):
        return F.cross_entropy(x @ w.T, images.labels) + decay * w[:, :-1].square().sum() / 10
    w = attacks.minimize_in_box(objective, torch.zeros(10, 785), bounds=None, max_iterations=100)
    model = fc().requires_grad_(False)
    model[1].weight.copy_(w[:, :-1]), model[1].bias.copy_(w[:, -1])
    return model.eval()


def autoencoder(images, epochs):
    """400 sigmoid units that learnt to rebuild their input, and a softmax on top that is trained alone."""
    torch.manual_seed(0)
    encode, decode = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.Sigmoid()), nn.Linear(400, 784)
    optimizer, generator = torch.optim.Adam([*encode.parameters(), *decode.parameters()], 2e-3), torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(128):
            loss = F.mse_loss(decode(encode(images.images[rows])), images.images[rows].flatten(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    head = nn.Linear(400, 10)
    with torch.no_grad():
        codes = encode(images.images).view(-1, 1, 20, 20)
    train(nn.Sequential(nn.Flatten(), head), codes, images.labels, epochs=2 * epochs, shift=0, batch_size=128, weight_decay=0.0, progress=False)
    return nn.Sequential(*encode, head).requires_grad_(False).eval()


class Setting:
    def __init__(self, name):
        self.name, self.training, self.test = name, data.load(name, "train"), data.load(name)
        self.more, self.batch = (1, 128) if name == "mnist" else (3, 50)     # epochs, for fewer pictures
        self.file = RESULTS / ("blind_spots.json" if name == "mnist" else f"blind_spots-{name}.json")

    def halves(self):
        """P1 and P2: disjoint, with the classes in equal shares."""
        generator, parts = torch.Generator().manual_seed(0), ([], [])
        for c in range(10):
            rows = (self.training.labels == c).nonzero()[:, 0]
            for part, some in zip(parts, rows[torch.randperm(len(rows), generator=generator)].chunk(2)):
                part.append(some)
        return [self.training[torch.cat(part)] for part in parts]

    def trained(self, *hidden, on=None, epochs=10, seed=0, begin=None, **options):
        torch.manual_seed(seed)
        model, on = begin or fc(*hidden, **options), on or self.training
        train(model, on.images, on.labels, epochs=epochs * self.more, lr=4e-3, shift=0, batch_size=self.batch, seed=seed, progress=False)
        return model.requires_grad_(False).eval()

    def examples(self, model, n):
        """(images, labels, L-BFGS examples) of the first n test pictures."""
        some = self.test[:n]
        targets = (some.labels + torch.randint(1, 10, (n,), generator=torch.Generator().manual_seed(0))) % 10
        return attacks.lbfgs(model, some.images, targets, c=0.4, halvings=4, max_iterations=25)

    def error(self, model, images, n=None):
        wrong = attacks.fooled(model, images, self.test.labels[:n or len(images)])
        return share(int(wrong.sum()), len(wrong))


def rms(delta):
    return delta.flatten(1).square().mean(1).sqrt()


def amplified(images, found, size=STRONG):
    """The same changes at root mean square `size`, outside the box as well. (The paper's formula divides by the L2 norm and so gives 0.1 / 28.)"""
    delta = found - images
    return images + delta * (size / rms(delta).clamp_min(1e-9)).view(-1, 1, 1, 1)


def noisy(images, size=STRONG):
    return images + size * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


M1, M1B, M2 = "FC100-100-10 on P1", "FC123-456-10 on P1", "FC100-100-10 on P2"
PUBLISHED = {M1: (1, .262, .059), M1B: (.0625, 1, .051), M2: (.082, .082, 1)}
PUBLISHED_STRONG = {M1: (1, .98, .43), M1B: (.96, 1, .22), M2: (.27, .50, 1)}


def halves(setting):
    one, two = setting.halves()
    for kind, activation, n in (("sigmoid", nn.Sigmoid, 300), ("ReLU", nn.ReLU, 100)):
        theirs, some, how = kind == "sigmoid", setting.test[:n].images, dict(activation=activation, epochs=12)
        nets = {M1: setting.trained(100, 100, on=one, **how), M1B: setting.trained(123, 456, on=one, seed=1, **how),
                M2: setting.trained(100, 100, on=two, seed=2, **how)}
        for name, model in nets.items():
            yield {"what": "clean error", "units": kind, "network": name, "ours": setting.error(model, setting.test.images)}
        for made_for, source in nets.items():
            found = setting.examples(source, n)
            yield {"what": "distortion", "units": kind, "network": made_for, "ours": round(rms(found - some).mean().item(), 4)}
            for i, (tried_on, model) in enumerate(nets.items()):
                where = {"units": kind, "made_for": made_for, "tried_on": tried_on}
                yield {"what": "transfer", **where, "ours": setting.error(model, found), "published": PUBLISHED[made_for][i] if theirs else None}
                yield {"what": "transfer, amplified to 0.1", **where, "ours": setting.error(model, amplified(some, found)),
                       "published": PUBLISHED_STRONG[made_for][i] if theirs else None}
        for name, model in nets.items():
            yield {"what": "Gaussian noise of 0.1", "units": kind, "tried_on": name, "ours": setting.error(model, noisy(setting.test.images)),
                   "published": "0.026 to 0.028" if theirs else None}


KNOWN = {   # name: distortion, test error, and the errors its examples cause on each of COLUMNS
    "FC10(1e-4)": (.062, .074, (1, .117, .227, .02, .039, .027)), "FC10(1e-2)": (.1, .094, (.871, 1, .352, .359, .273, .098)),
    "FC10(1)": (.14, .2, (.719, .762, 1, .481, .47, .344)), "FC100-100-10": (.058, .0164, (.289, .137, .211, 1, .066, .02)),
    "FC200-200-10": (.065, .0154, (.382, .14, .238, .203, 1, .027)), "AE400-10": (.086, .019, (.234, .16, .248, .094, .066, 1))}
COLUMNS = tuple(KNOWN)
KNOWN_NOISE = {0.1: (.05, .101, .183, 0, 0, .008), 0.3: (.156, .113, .227, .05, .043, .031)}


def networks(setting, n=80):
    some = setting.test[:n].images
    nets = {f"FC10({text})": softmax_regression(setting.training, float(text)) for text in ("1e-4", "1e-2", "1")}
    nets |= {"FC100-100-10": setting.trained(100, 100), "FC200-200-10": setting.trained(200, 200, seed=1),
             "AE400-10": autoencoder(setting.training, 5 * setting.more), "FC100-100-10, other initial weights": setting.trained(100, 100, seed=5)}
    for made_for, source in nets.items():
        distortion, error, row = KNOWN.get(made_for, (None, None, ()))
        yield {"what": "clean error", "network": made_for, "ours": setting.error(source, setting.test.images), "published": error}
        found = setting.examples(source, n)
        sizes = rms(found - some)
        yield {"what": "distortion", "network": made_for, "ours": round(sizes.mean().item(), 4), "published": distortion, "n": n,
               "spread": [round(q, 4) for q in sizes.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()]}
        for tried_on, model in nets.items():
            published = row[COLUMNS.index(tried_on)] if row and tried_on in COLUMNS else None
            yield {"what": "transfer", "made_for": made_for, "tried_on": tried_on, "ours": setting.error(model, found), "published": published}
    for size, published in KNOWN_NOISE.items():
        for tried_on, figure in zip(COLUMNS, published):
            yield {"what": f"Gaussian noise of {size:g}", "tried_on": tried_on, "ours": setting.error(nets[tried_on], noisy(setting.test.images, size)),
                   "published": figure}


def needed(setting, model, n=500):
    """How hard a network is to fool: the median of the smallest L2 changes found, and the share of errors under changes of at most 1."""
    some = setting.test[:n]
    _, size = attacks.min_norm(model, some.images, some.labels, norm="l2", eps_max=8.0, halvings=8)
    return {"median_l2": round(size.median().item(), 3), "error_at_l2_1": share(int((size <= 1).sum()), n)}


def defences(setting, n=80):
    def first(epochs, **begun):
        return setting.trained(100, 100, epochs=epochs, **begun).requires_grad_(True)
    noise = data.ImageSet("noise", "train", torch.rand(10000, 1, 28, 28, generator=torch.Generator().manual_seed(0)),
                          torch.randint(0, 10, (10000,), generator=torch.Generator().manual_seed(1)), data.DIGITS)
    plain, others = setting.trained(100, 100), [setting.trained(100, 100, seed=seed) for seed in (11, 12, 13, 14)]
    nets = {"nothing": plain, "other initial weights": others[0], "dropout 0.3": setting.trained(100, 100, dropout=0.3),
            "pretrained on noise with random labels": setting.trained(begin=first(10, on=noise))}
    if data.available("fashion_mnist"):
        nets["pretrained on Fashion-MNIST"] = setting.trained(begin=first(2, on=data.load("fashion_mnist", "train")))
    nets |= {"the average of four other networks": Average(*others), "the average of five, attacked as one": Average(plain, *others)}
    some = setting.test[:n].images
    found = setting.examples(plain, n)
    for name, model in nets.items():
        yield {"what": "defence", "defence": name, "clean_error": setting.error(model, setting.test.images), **needed(setting, model),
               "error_on_examples_of_the_plain_network": setting.error(model, found),
               "error_on_them_amplified_to_0.1": setting.error(model, amplified(some, found))}


def layers(setting, epochs=6):
    """Half of every loss on pictures, half on what one L2 step of `size` times the layer's own length makes of them at a layer."""
    cuts = {"input": 1, "first hidden layer": 3, "second hidden layer": 5}
    for where, size in ((None, 0), *((where, size) for where in cuts for size in (0.1, 0.3))):
        torch.manual_seed(0)
        model, generator = fc(100, 100), torch.Generator().manual_seed(0)
        steps = epochs * setting.more * (len(setting.training) // setting.batch)
        optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for step in range(steps):
            rows = torch.randint(len(setting.training), (setting.batch,), generator=generator)
            x, y = setting.training.images[rows], setting.training.labels[rows]
            if where:
                h = model[:cuts[where]](x)
                start = h.detach().requires_grad_()
                gradient, = torch.autograd.grad(F.cross_entropy(model[cuts[where]:](start), y, reduction="sum"), start)
                h = h + size * h.detach().norm(dim=1, keepdim=True) * F.normalize(gradient, dim=1)
                loss = (F.cross_entropy(model(x), y) + F.cross_entropy(model[cuts[where]:](h), y)) / 2
            else:
                loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.requires_grad_(False).eval()
        yield {"what": "training with examples made at a layer", "layer": where or "none", "relative_size": size,
               "clean_error": setting.error(model, setting.test.images), **needed(setting, model), "published_clean_error": None if where else 0.016}


WHY = {     # where ours differ from the paper's, and what is known about it
    "halves": "The paper does not say how its networks were trained; ours take 12 epochs of AdamW and err on more clean pictures (2.6 to 3.0 %; the paper's FC100-100-10 on all data 1.64 %). "
              "Most of ours transfer more, amplified far more, although their distortions are smaller. How much transfers hangs on the networks: ours with ReLUs, trained in the "
              "same way, transfer from half to half about as the paper's do (amplified still far more). What it is in sigmoids is not known; one network for each cell, and one start.",
    "networks": "Our networks need smaller distortions than the paper's, in the same order. Ours are one of each, and 80 pictures; the paper's training and number of pictures are not given. "
                "Our autoencoder was trained for five passes and errs on 7.9 % of the pictures, the paper's on 1.9 %.",
    "defences": "The paper says that such measures do not help, and gives no figures for them.",
    "layers": "The paper gives the clean error only, for another network and another way of adding examples."}
TABLES = {table.__name__: table for table in (halves, networks, defences, layers)}


def main(name="mnist", *wanted):
    torch.set_num_threads(1)     # one picture at a time: threads would only wait for each other
    setting = Setting(name)

    def done():     # read anew each time: another process may make another table
        return json.loads(setting.file.read_text()) if setting.file.exists() else {}

    def write(table, rows, gone=None):
        tables = {"data": name, "source": "Szegedy et al. 2013, arXiv:1312.6199"} | done() | {"why": WHY, table: rows}
        tables.pop(gone, None)
        with whole(setting.file) as part:
            part.write_text(json.dumps(tables, indent=1) + "\n")

    for table in wanted or TABLES:
        if table in done():
            continue
        rows, unfinished = [], f"{table} (unfinished)"
        for row in TABLES[table](setting):
            rows.append(row)
            print(json.dumps(row), flush=True)
            write(unfinished, rows)
        write(table, rows, gone=unfinished)


if __name__ == "__main__":
    main(*sys.argv[1:])
