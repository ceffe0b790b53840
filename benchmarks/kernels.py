"""Our kernels beside their peers, alternating in one process: medians, ratios, and the largest ratio that was set as the goal.

    make bench          prints one table, writes it as benchmarks/kernels.json and into the README
"""
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from helpers import attacks, data, models
from helpers.attribution import expected_gradients, integrated_gradients, occlusion, smooth_grad

HERE = Path(__file__).parent
ROUNDS = 9
START, END = "<!-- make bench writes here -->", "<!-- to here -->"
PEERS = ("captum", "foolbox", "torchattacks", "shap")


def compare(ours, theirs, rounds):
    """Medians of both in seconds, after one round that does not count; they take turns."""
    times = [], []
    for turn in range(rounds + 1):
        for function, seconds in zip((ours, theirs), times):
            began = time.perf_counter()
            function()
            if turn:
                seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in times]


def floor(model, x, y, steps):
    """As little as a PGD of so many steps can do: forward passes and input gradients."""
    for _ in range(steps):
        x = x.detach().requires_grad_()
        torch.autograd.grad(nn.functional.cross_entropy(model(x), y, reduction="sum"), x)


def networks():
    """The committed network of digits; a ResNet-18 of width 16 for 32 x 32 (untrained: its speed does not depend on its weights)."""
    digits = data.load("mnist5k")[:256]
    yield "CNN, 28 x 28", models.load("mnist5k/standard"), digits.images, digits.labels, 0.1
    torch.manual_seed(0)
    net = models.resnet(width=16).eval()
    colour = data.load("cifar10-samples").images.repeat(4, 1, 1, 1)[:64]
    colour = (colour + 0.02 * torch.randn(colour.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    yield "ResNet-18/16, 32 x 32", net, colour, attacks.scores(net, colour).argmax(1), 8 / 255


def cases(name, model, x, y, eps):
    import captum.attr
    import foolbox
    import shap
    import torchattacks
    few = slice(0, 16 if x.shape[1] == 1 else 4)
    fixed = dict(eps=eps, norm="linf", steps=20, step_size=eps / 4, keep="last")

    def fool(attack):
        return attack(foolbox.PyTorchModel(model, (0, 1)), x, y, epsilons=eps)

    def ours_pgd():
        return attacks.pgd(model, x, y, **fixed)
    theirs = torchattacks.PGD(model, eps=eps, alpha=eps / 4, steps=20, random_start=False)
    foolboxs = foolbox.attacks.LinfPGD(abs_stepsize=eps / 4, steps=20, random_start=False)
    yield "pgd, 20 steps", "forward passes and input gradients alone", 1.05, ours_pgd, lambda: floor(model, x, y, 20)
    yield "pgd, 20 steps", "torchattacks", 1.0, ours_pgd, lambda: theirs(x, y)
    yield "pgd, 20 steps", "foolbox", 0.8, ours_pgd, lambda: fool(foolboxs)

    if x.shape[1] == 1:     # an untrained network has no verdicts worth comparing
        usual = torchattacks.PGD(model, eps=0.3, alpha=0.03, steps=20, random_start=False)

        def ours_robust():
            return attacks.robust_accuracy(model, x, y, 0.3, norm="linf", steps=20, restarts=1, losses=("cross_entropy",), start=None)

        def theirs_robust():
            return ~attacks.fooled(model, usual(x, y), y)
        different = (ours_robust()[1] != theirs_robust()).sum().item()
        yield f"robust_accuracy, PGD-20, eps 0.3 ({different} of {len(x)} verdicts differ)", "torchattacks", 0.6, ours_robust, theirs_robust

    tunnel, saliency = captum.attr.NoiseTunnel(captum.attr.Saliency(model)), dict(abs=False, stdevs=0.15, nt_type="smoothgrad")
    yield ("smooth_grad, 100 samples", "captum NoiseTunnel", 0.4, lambda: smooth_grad(model, x[few], y[few], n_samples=100),
           lambda: tunnel.attribute(x[few].clone(), target=y[few], nt_samples=100, **saliency))
    path = captum.attr.IntegratedGradients(model)
    yield ("integrated_gradients, 50 steps", "captum", 1.0, lambda: integrated_gradients(model, x[few], y[few]),
           lambda: path.attribute(x[few], target=y[few], n_steps=50))
    side = x.shape[-1] // 7
    windows = captum.attr.Occlusion(model)
    for at_once, goal in ((1, 0.35), (64, None)):
        yield (f"occlusion, {side} x {side} windows, stride 2", f"captum, {at_once} at once" + ", its default" * (at_once == 1), goal,
               lambda: occlusion(model, x[few], y[few], size=side, stride=2),
               lambda: windows.attribute(x[few], target=y[few], sliding_window_shapes=(x.shape[1], side, side), strides=(x.shape[1], 2, 2),
                                         perturbations_per_eval=at_once))
    explainer = shap.GradientExplainer(model, x[16:])
    several = torch.arange(10).expand(2, -1)
    yield ("expected_gradients, 10 classes, 200 samples", "shap GradientExplainer", 0.3,
           lambda: expected_gradients(model, x[:2], several, x[16:], n_samples=200), lambda: explainer.shap_values(x[:2], nsamples=200))

    student = [models.small_cnn() if x.shape[1] == 1 else models.resnet(width=16) for _ in range(2)]
    optimizers = [torch.optim.SGD(net.parameters(), 0.01) for net in student]
    batch = slice(0, 100 if x.shape[1] == 1 else 64)

    def ours_step():
        x_adv = attacks.pgd(student[0], x[batch], y[batch], eps=eps, norm="linf", steps=7, start="ball", keep="last")
        update(student[0], optimizers[0], x_adv, y[batch])
    yield "a step of adversarial training, PGD-7", "loss.backward()", 0.75, ours_step, lambda: usual_step(student[1], optimizers[1], x[batch], y[batch], eps)


def update(model, optimizer, x, y):
    model.train()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def usual_step(model, optimizer, x, y, eps):
    """As in Wong et al. 2020's PGD training: the attack's backward pass reaches the parameters too."""
    delta = torch.empty_like(x).uniform_(-eps, eps).requires_grad_()
    for _ in range(7):
        nn.functional.cross_entropy(model(x + delta), y).backward()
        delta.data = (delta.data + 2.5 * eps / 7 * delta.grad.sign()).clamp(-eps, eps)
        delta.data = (x + delta.data).clamp(0, 1) - x
        delta.grad.zero_()
    update(model, optimizer, (x + delta).detach(), y)


def peak_memory(whose, queue):
    """Largest resident size that integrated gradients of 64 images of 224 x 224 add to this process, in MB."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 7, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 10)).eval()
    x, y = torch.rand(64, 3, 224, 224), torch.arange(64) % 10
    attacks.scores(model, x[:2])
    before = _memory("VmRSS")
    if whose == "ours":
        integrated_gradients(model, x, y)
    else:
        import captum.attr
        captum.attr.IntegratedGradients(model).attribute(x, target=y, n_steps=50)
    queue.put(_memory("VmHWM") - before)


def _memory(what):
    """Of this process, in MB: its resident size (VmRSS), its largest so far (VmHWM)."""
    return next(int(line.split()[1]) / 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))


def memory_of(whose):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=peak_memory, args=(whose, queue))
    process.start()
    process.join()
    return queue.get()


def main(only=""):
    warnings.filterwarnings("ignore")
    rows = []
    for name, model, x, y, eps in networks():
        for what, against, goal, ours, theirs in cases(name, model, x, y, eps):
            if only in what:
                mine, yours = compare(ours, theirs, ROUNDS)
                rows.append(dict(what=what, network=name, against=against, ours_ms=round(1000 * mine, 1), theirs_ms=round(1000 * yours, 1),
                                 ratio=round(mine / yours, 2), goal=goal))
                print(rows[-1], flush=True)
    if not only:
        mine, yours = memory_of("ours"), memory_of("captum")
        rows.append(dict(what="integrated_gradients, 50 steps, peak memory (MB) at 64 images", network="one convolution, 224 x 224", against="captum",
                         ours_ms=round(mine), theirs_ms=round(yours), ratio=round(mine / yours, 2), goal=0.1))
        write(rows)
    goals = [row for row in rows if row["goal"]]
    missed = [row for row in goals if row["ratio"] > row["goal"]]
    print(f"{len(goals) - len(missed)} of {len(goals)} goals reached" + "".join(f"\nmissed: {row}" for row in missed))


def write(rows):
    processor = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.processor())
    where = f"{processor}, {os.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}, " + \
        ", ".join(f"{peer} {version(peer)}" for peer in PEERS)
    (HERE / "kernels.json").write_text(json.dumps({"where": where, "rounds": ROUNDS, "rows": rows}, indent=1) + "\n")
    readme = HERE.parent / "README.md"
    before, rest = readme.read_text().split(START)
    readme.write_text(f"{before}{START}\n{table(where, rows)}\n{END}{rest.split(END)[1]}")


def table(where, rows):
    """The rows as a table in markdown, with where they were measured."""
    lines = [f"{where}. Medians of {ROUNDS} turns each, alternating in one process.", "",
             "| what | network | against | ours | theirs | ratio | goal |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        unit = "MB" if "MB" in row["what"] else "ms"
        lines.append(f"| {row['what']} | {row['network']} | {row['against']} | {row['ours_ms']:g} {unit} | {row['theirs_ms']:g} {unit} | "
                     f"**{row['ratio']:.2f}** | {row['goal'] or ''} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
