import math
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers import attacks, data, models, training

OBJECTIVES = [dict(objective="standard"), dict(objective="pgd", norm="l2", eps=1.0, steps=2), dict(objective="pgd", norm="linf", eps=0.1, steps=2),
              dict(objective="single-step", norm="l2", eps=1.0), dict(objective="single-step", norm="linf", eps=0.05),
              dict(objective="mixed", norm="l2", eps=1.0), dict(objective="mixed", norm="linf", eps=0.1),
              dict(objective="noise", norm="l2", eps=1.0), dict(objective="noise", norm="linf", eps=0.1),
              dict(objective="noise", norm="linf", eps=0.1, start="ball")]


def ids(options):
    return "-".join(str(value) for value in options.values())


def run(seed=0, n=400, epochs=3, model=None, **options):
    some = data.load("mnist5k", "train")[:n]
    torch.manual_seed(0)
    model = model or models.small_cnn()
    return model, training.train(model, some.images, some.labels, epochs=epochs, seed=seed, progress=False, **options)


@pytest.mark.parametrize("edge, mode", [("black", "constant"), ("reflect", "reflect")])
def test_a_shift_moves_the_picture_and_what_comes_in_is_as_asked(edge, mode):
    images = torch.rand(50, 2, 6, 6)
    moved = training.random_shift(images, 2, torch.Generator().manual_seed(0), edge)
    padded = F.pad(images, [2] * 4, mode=mode)
    seen = set()
    for one, big in zip(moved, padded):
        found = [(top, left) for top in range(5) for left in range(5) if torch.equal(one, big[:, top:top + 6, left:left + 6])]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 15
    assert torch.equal(training.random_shift(images, 0, torch.Generator()), images)


def test_half_of_the_pictures_are_mirrored():
    images = torch.rand(200, 2, 6, 6)
    same = training.random_shift(images, 0, torch.Generator().manual_seed(0), flip=True)
    mirrored = [torch.equal(one, picture.flip(-1)) for one, picture in zip(same, images)]
    assert all(torch.equal(one, picture) for one, picture, turned in zip(same, images, mirrored) if not turned) and 70 < sum(mirrored) < 130
    moved = training.random_shift(images, 2, torch.Generator().manual_seed(0), "reflect", flip=True)
    corners = [{tuple(view[:, :4, :4].flatten().tolist()) for view in F.pad(picture[None], [2] * 4, mode="reflect")[0].unfold(1, 6, 1)
                .unfold(2, 6, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)} for picture in torch.cat([images, images.flip(-1)])]
    assert all(tuple(one[:, :4, :4].flatten().tolist()) in corners[i] | corners[200 + i] for i, one in enumerate(moved)), "a mirrored picture is shifted too"


@pytest.mark.parametrize("options", OBJECTIVES, ids=ids)
def test_training_follows_from_the_seed_alone(options):
    first, _ = run(epochs=1, **options)
    torch.rand(7)
    (again, _), (other, _) = run(epochs=1, **options), run(epochs=1, seed=1, **options)
    weights = [model[1].weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.allclose(weights[0], weights[2])


@pytest.mark.parametrize("options", OBJECTIVES, ids=ids)
def test_every_objective_learns(options):
    _, history = run(n=2000, epochs=3, **options)
    assert [record["epoch"] for record in history] == [0, 1, 2]
    assert history[-1]["clean"] > 0.7 and history[-1]["loss"] < history[0]["loss"]
    assert ("robust" in history[-1]) == (options["objective"] != "standard")
    assert ("single_step" in history[-1]) == (options["objective"] in ("single-step", "mixed"))


def first_inputs(**options):
    """What the network saw in the first step: (modes and inputs of each pass, the batch by hand, the network)."""
    some = data.load("mnist5k", "train")[:100]
    some = torch.clamp(some.images, 0.3, 0.7), some.labels      # so that the box does not cut what is looked at
    torch.manual_seed(0)
    model, passes = models.small_cnn(), []
    model[0].register_forward_pre_hook(lambda module, inputs: passes.append((module.training, inputs[0].detach().clone())) if len(inputs[0]) > 1 else None)
    gradients = []
    training.train(model, *some, epochs=1, shift=0, progress=False, lr=1e-9, **options,
                   callback=lambda model, step: gradients.append([parameter.grad.clone() for parameter in model.parameters()]))
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    return passes, some[0][order], some[1][order], model, gradients[0]


@pytest.mark.parametrize("options", OBJECTIVES, ids=ids)
def test_attacks_are_made_in_eval_mode_and_the_step_in_train_mode(options):
    passes, x, _, _, _ = first_inputs(**options)
    modes = [mode for mode, _ in passes]
    inner = {"standard": 0, "pgd": 2, "single-step": 1, "mixed": 1, "noise": 0}[options["objective"]]
    assert modes[:inner + 1] == [False] * inner + [True] and modes.count(True) == 1
    used = passes[inner][1]
    if options["objective"] == "mixed":
        assert torch.equal(used[:100], x) and len(used) == 200, "clean and attacked in one pass"
        used = used[100:]
    change = (used - x).flatten(1)
    size = change.norm(dim=1) if options.get("norm") == "l2" else change.abs().amax(1)
    eps = options.get("eps", 0)
    assert (size <= eps * 1.0001).all()
    if options["objective"] in ("mixed", "noise") and "start" not in options:
        assert torch.allclose(size, torch.full_like(size, eps), rtol=1e-4), "of exactly this size"
    elif eps:
        assert size.median() > 0.8 * eps


def test_a_single_step_is_1_25_eps_from_a_random_start():
    passes, x, y, model, _ = first_inputs(objective="single-step", norm="l2", eps=1.0)
    (_, begin), (_, used) = passes[:2]
    radius = (begin - x).flatten(1).norm(dim=1)
    assert 0.3 < radius.mean() < 0.7 and radius.max() <= 1.0001, "of uniform length, not on the sphere"
    _, _, gradient = attacks.loss_and_gradient(model.eval(), begin, y, attacks.log_odds)
    by_hand = begin + 1.25 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    by_hand = x + attacks.project(by_hand - x, 1.0, "l2")
    assert torch.allclose(used, by_hand, atol=1e-5)


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 1.0)])
def test_the_mixed_objective_is_goodfellows(norm, eps):
    _, x, y, model, gradient = first_inputs(objective="mixed", norm=norm, eps=eps, alpha=0.3)
    _, _, g = attacks.loss_and_gradient(model.eval(), x, y, attacks.cross_entropy)
    attacked = x + eps * (g.sign() if norm == "linf" else g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
    model.train()
    loss = 0.3 * F.cross_entropy(model(x), y) + 0.7 * F.cross_entropy(model(attacked), y)
    for ours, by_hand in zip(gradient, torch.autograd.grad(loss, list(model.parameters()))):
        assert torch.allclose(ours, by_hand, atol=1e-6)


def test_eps_grows_along_the_ramp_and_then_stays():
    sizes, x = [], torch.full((400, 1, 28, 28), 0.5)
    model = models.small_cnn()
    model[0].register_forward_pre_hook(lambda module, inputs: sizes.append((inputs[0] - 0.5).abs().max().item()) if module.training else None)
    training.train(model, x, torch.arange(400) % 10, epochs=2, objective="noise", norm="linf", eps=0.2, ramp=0.5, shift=0,
                   progress=False)
    assert sizes == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2, 0.2, 0.2])


def test_the_step_grows_with_eps():
    perturb = training._Perturbation("pgd", "linf", 0.2, 1, 0.1, None)
    model, x, y = models.load("mnist5k/standard"), torch.full((1, 1, 28, 28), 0.5), torch.tensor([3])
    perturb.share = 0.5
    assert (perturb.attacked(model, x, y, x) - x).abs().max().item() == pytest.approx(0.05)


def test_what_is_watched_is_spread_over_sorted_images(monkeypatch):
    seen, some = [], data.load("mnist5k", "train")
    order = some.labels.argsort()
    monkeypatch.setattr(training, "_watch", lambda model, x, y, *rest: seen.append(y) or {"clean": 0.0})
    training.train(models.small_cnn(), some.images[order], some.labels[order], epochs=1, progress=False)
    assert len(seen[0]) == 256 and seen[0].bincount().min() >= 20


def test_training_leaves_the_global_random_state_alone_even_with_dropout():
    torch.manual_seed(5)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(784, 10))
    before = torch.get_rng_state()
    some = data.load("mnist5k", "train")[:200]
    training.train(model, some.images, some.labels, epochs=1, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_short_adversarial_training_makes_digits_robust():
    test = data.load("mnist5k")[:300]
    share = {}
    for objective in (dict(), dict(objective="pgd", norm="l2", eps=1.5, steps=5)):
        model, _ = run(n=4000, epochs=4, **objective)
        assert not any(module.training for module in model.modules())
        attacked = attacks.pgd(model, test.images, test.labels, eps=1.5, norm="l2", steps=20)
        share[bool(objective)] = attacks.accuracy(model, attacked, test.labels)
    assert share[True] > share[False] + 0.2, share


def test_bfloat16_learns_the_same():
    plain, history = run(n=2000, epochs=2)
    short, rough = run(n=2000, epochs=2, bfloat16=True)
    assert all(parameter.dtype == torch.float32 for parameter in short.parameters())
    assert not torch.equal(plain[1].weight, short[1].weight) and abs(history[-1]["loss"] - rough[-1]["loss"]) < 0.05


def test_catastrophic_overfitting_is_noticed_and_said_once():
    options = dict(objective="single-step", norm="linf", eps=0.3, step_size=0.6, lr=2e-3)
    with pytest.warns(UserWarning, match=r"catastrophic overfitting in epoch \d+: .*PGD-10 .*objective=\"pgd\"") as caught:
        model, history = run(n=4000, epochs=12, **options)
    assert len(caught) == 1
    assert history[-1]["single_step"] > history[-1]["robust"] + 0.2
    test = data.load("mnist5k")[:256]
    share, _ = attacks.robust_accuracy(model, test.images, test.labels, 0.3, norm="linf", steps=10, restarts=1)
    assert share < 0.1, "and it is true: on other images it is not robust"


def test_sound_training_is_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(n=4000, epochs=4, objective="single-step", norm="l2", eps=1.5)


def test_what_counts_as_catastrophic():
    def records(*pairs):
        return [{"epoch": i, "robust": robust, "single_step": one} for i, (robust, one) in enumerate(pairs)]
    assert training._lost(records((0.2, 0.3), (0.4, 0.5), (0.05, 0.9)))
    assert not training._lost(records((0.32, 0.66))), "PGD finds more than one step everywhere: nothing was lost"
    assert not training._lost(records((0.4, 0.5), (0.1, 0.2))), "both fell: training wavers"
    history = records((0.4, 0.5), (0.1, 0.9), (0.05, 0.95))
    with pytest.warns(UserWarning, match=r"in epoch 2: .*90% .*PGD-10 10% \(40% after epoch 1\)"):
        training._warn_of_catastrophe(history[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training._warn_of_catastrophe(history)      # said already
        training._warn_of_catastrophe([])
        training._warn_of_catastrophe([{"epoch": 0, "clean": 1.0}])


def test_the_callback_sees_the_model_after_every_minibatch():
    seen = []
    model, _ = run(epochs=2, callback=lambda model, step: seen.append((step, model[1].weight.detach().sum().item())))
    assert [step for step, _ in seen] == list(range(8)) and len({weight for _, weight in seen}) == 8
    assert seen[-1][1] == model[1].weight.sum().item()


def test_the_bar_shows_loss_and_both_accuracies(capfd):
    some = data.load("mnist5k", "train")[:400]
    training.train(models.small_cnn(), some.images, some.labels, epochs=1, objective="pgd", eps=1.0)
    shown = capfd.readouterr().err
    assert all(word in shown for word in ("loss=", "clean=", "robust=", "step/s"))


@pytest.mark.parametrize("options, said", [
    (dict(objective="magic"), "one of 'standard', 'pgd'.*'magic'"),
    (dict(objective="pgd"), "every other one with eps > 0"),
    (dict(eps=1.0), "eps=0 and every other"),
    (dict(objective="pgd", eps=1.0, norm="l1"), "norm must be"),
    (dict(edge="white"), "'black', 'reflect'"),
    (dict(batch_size=500), "from 1 to the 400 images"),
    (dict(epochs=0), "epochs >= 1"),
    (dict(resume=True), "say state=PATH"),
    (dict(objective="single-step", eps=1.0, steps=3), "steps are for objective=\"pgd\""),
    (dict(objective="pgd", eps=1.0, steps=0), "at least 1"),
    (dict(objective="pgd", eps=1.0, step_size=0), "above 0"),
    (dict(objective="mixed", eps=1.0, start="ball"), "a start is for"),
    (dict(objective="mixed", eps=1.0, alpha=5), "shares, from 0 to 1"),
    (dict(objective="pgd", eps=1.0, ramp=2), "shares, from 0 to 1"),
    (dict(lr=1e30), "the loss is .* in epoch 1.*smaller lr"),
])
def test_settings_that_cannot_be(options, said):
    with pytest.raises(ValueError, match=said):
        run(**options)


def test_labels_the_network_has_no_class_for():
    with pytest.raises(ValueError, match="the network has 4 classes, 0 to 3, but a label is"):
        run(model=models.small_cnn(classes=4))


def test_a_float64_network_trains_in_float64():
    some = data.load("mnist5k", "train")[:200]
    model = models.small_cnn().double()
    training.train(model, some.images.double(), some.labels, epochs=1, objective="pgd", eps=1.0, steps=1, progress=False)
    assert model[1].weight.dtype == torch.float64


# ---- killed and resumed ----

SCRIPT = """
import sys, time, torch
from helpers import data, models, training
torch.set_num_threads(1)
some = data.load("mnist5k", "train")[:1000]
torch.manual_seed(0)
model = torch.nn.Sequential(models.ConvNorm(1, 8, 5, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(8 * 14 * 14, 10))
pause = 0.03 if sys.argv[3:] else 0     # so that a kill comes in the middle of an epoch
training.train(model, some.images, some.labels, epochs=9, objective="pgd", norm="l2", eps=1.0, steps=3, ramp=0.5, bfloat16=True,
               state=sys.argv[1], resume=True, progress=False, callback=lambda model, step: time.sleep(pause))
torch.save(model.state_dict(), sys.argv[2])
"""


def test_killed_again_and_again_it_ends_with_the_same_weights(tmp_path):
    def start(name, *slowly):
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path / f"{name}.state"), str(tmp_path / f"{name}.pt"), *slowly])
    assert start("whole").wait(timeout=300) == 0
    state = tmp_path / "killed.state"
    for epochs in (1, 3, 5):
        process = start("killed", "slowly")
        while process.poll() is None and not (state.exists() and epochs_in(state) >= epochs):
            time.sleep(0.02)
        time.sleep(0.05)       # into the next epoch, which takes 0.3 s
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert epochs <= epochs_in(state) < 9   # and never half a file
    assert start("killed").wait(timeout=300) == 0
    whole, resumed = (torch.load(tmp_path / f"{name}.pt") for name in ("whole", "killed"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def epochs_in(state):
    return len(torch.load(state, weights_only=True)["history"])


def test_a_state_of_another_training_is_refused(tmp_path):
    run(epochs=1, state=tmp_path / "x.state")
    with pytest.raises(ValueError, match="x.state is the state of another training.*epochs was 1, is 2; lr was 0.004, is 0.1"):
        run(epochs=2, lr=0.1, state=tmp_path / "x.state", resume=True)
    with pytest.raises(ValueError, match=r"images was \[400, 1, 28, 28\], is \[300, 1, 28, 28\]"):
        run(epochs=1, n=300, state=tmp_path / "x.state", resume=True)
    some = data.load("mnist5k", "train")[:400]
    with pytest.raises(ValueError, match="labels was .* is .*settings and images"):
        training.train(models.small_cnn(), some.images, (some.labels + 1) % 10, epochs=1, state=tmp_path / "x.state", resume=True, progress=False)
    with pytest.raises(ValueError, match="x.state holds 1 epochs of a training, which would be lost"):
        run(epochs=1, state=tmp_path / "x.state")
    _, history = run(epochs=1, state=tmp_path / "x.state", resume=True)
    assert len(history) == 1 and math.isfinite(history[0]["loss"]), "finished already: nothing left to do"


def test_settings_may_be_numpys(tmp_path):
    options = dict(objective="pgd", eps=np.float64(0.5), lr=np.float32(1e-3), epochs=1, state=tmp_path / "x.state")
    run(**options)
    run(**options, resume=True)


# ---- several processes ----

JOINT = """
import os, sys, torch
from torch import distributed
from helpers import data, models, training
torch.set_num_threads(1)
if "LOCAL_RANK" in os.environ:
    distributed.init_process_group("gloo")
some = data.load("mnist5k", "train")[:400]
torch.manual_seed(0)
model, gradients = models.small_cnn(), []
history = training.train(model, some.images, some.labels, epochs=1, lr=1e-5, progress=False, state=sys.argv[1] + ".state", **eval(sys.argv[2]),
                         callback=lambda model, step: gradients.append([p.grad.clone() for p in model.parameters()]))
torch.save((gradients, list(model.parameters()), history), sys.argv[1] + os.environ.get("RANK", "0"))
if distributed.is_initialized():
    distributed.destroy_process_group()
"""


def torchrun(*arguments, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


@pytest.mark.parametrize("options", [dict(), dict(objective="pgd", norm="l2", eps=1.0, steps=3), dict(objective="mixed", norm="l2", eps=1.0, alpha=0.3)],
                         ids=ids)
def test_two_processes_make_the_gradients_of_one_with_the_joint_batch(options, tmp_path):
    script = tmp_path / "joint.py"
    script.write_text(JOINT)
    alone, two = tmp_path / "alone", tmp_path / "two"
    subprocess.run([sys.executable, script, alone, repr(options)], check=True)
    done = torchrun(script, two, repr(options))
    assert done.returncode == 0, done.stderr
    (gradients, weights, history), first, second = (torch.load(f"{path}", weights_only=False) for path in (f"{alone}0", f"{two}0", f"{two}1"))
    assert len(gradients) == 4
    for ours, theirs, other in zip(gradients[0] + weights, first[0][0] + first[1], second[0][0] + second[1]):
        assert torch.allclose(ours, theirs, atol=2e-5) and torch.equal(theirs, other)
    largest = max(gradient.abs().max() for gradient in gradients[0])
    assert largest > 1e-3, "the tolerance means something"
    assert abs(history[0]["clean"] - first[2][0]["clean"]) < 0.02 and second[2] == [], "process 0 alone watches and writes"
    assert sorted(path.name for path in tmp_path.glob("two*")) == ["two.state", "two0", "two1"]


BATCH_NORM = """
import os, sys, torch
from torch import distributed
from helpers import data, models, training
torch.set_num_threads(1)
distributed.init_process_group("gloo")
some = data.load("mnist5k", "train")[:600]
torch.manual_seed(0)
model = torch.nn.Sequential(models.ConvNorm(1, 8, 5, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 14 * 14, 10))
def stop(model, step):
    if step == 9 and "stop" in sys.argv:
        os._exit(0)
training.train(model, some.images, some.labels, epochs=3, objective="pgd", norm="l2", eps=1.0, steps=2, progress=False, state=sys.argv[1] + ".state",
               resume=True, callback=stop)
torch.save(model.state_dict(), sys.argv[1] + os.environ["RANK"])
distributed.destroy_process_group()
"""


def test_two_processes_with_batch_norm_resume_to_the_same_weights_and_are_one_network(tmp_path):
    script = tmp_path / "norm.py"
    script.write_text(BATCH_NORM)
    for name, arguments in (("whole", ()), ("killed", ("stop",)), ("killed", ())):
        done = torchrun(script, tmp_path / name, *arguments)
        assert done.returncode == 0, done.stderr
    whole, other, resumed = (torch.load(tmp_path / name) for name in ("whole0", "whole1", "killed0"))
    assert all(torch.equal(whole[key], other[key]) and torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_batch_that_cannot_be_shared_evenly(tmp_path):
    script = tmp_path / "joint.py"
    script.write_text(JOINT)
    done = torchrun(script, tmp_path / "two", repr(dict(batch_size=5)))
    assert done.returncode != 0 and "2 processes cannot share batches of 5 evenly" in done.stderr


def test_torchrun_trains_a_recipe_and_one_process_writes_it(tmp_path):
    script = tmp_path / "tiny.py"
    script.write_text("from helpers import recipes, train\n"
                      "recipes.RECIPES['mnist5k/standard']['epochs'] = 2\n"
                      "train.main()\n")
    done = torchrun(script, "mnist5k/standard", "--out", tmp_path / "out", "--device", "cpu", env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")) == [
        "manifest.json", "mnist5k-standard-untrained.safetensors", "mnist5k-standard.safetensors"]
    assert done.stdout.count("measuring mnist5k/standard\n") == 1
