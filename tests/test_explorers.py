"""Each explorer without a browser: its controls set, its pictures and words looked at; then, by unit, that they show what they say."""
import base64
import io
import threading

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from helpers import attacks, attribution, data, models, planted, plots, visualisation, widgets
from helpers.widgets import attack, evidence, features, learning, local, neurons, noise, robust, saliency, why
from helpers.widgets.explorer import _pictures
from .test_widgets import shown


each_explorer = pytest.mark.parametrize("name", widgets.EXPLORERS)


def other_values(control):
    """Values that a control can take: all of a menu, the ends of a range."""
    if isinstance(control, widgets.ImagePicker):
        return [1, len(control.images) - 1, control.images.images[2:3]]
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    return [control.min, control.max]


@pytest.fixture(autouse=True)
def without_cifar10(monkeypatch):
    """The neuron explorer does not read 10,000 pictures: it is tested as it is where CIFAR-10 is not."""
    monkeypatch.setattr(data, "available", lambda name: False)
    neurons.real.cache_clear()
    neurons._seen.clear()


@each_explorer
def test_every_value_of_every_control_changes_the_picture_without_an_error(name):
    explorer = widgets.EXPLORERS[name]()
    assert shown(explorer)[0].startswith(b"\x89PNG")
    for setting, control in explorer.controls.items():
        old = control.value
        for value in other_values(control):
            before = shown(explorer)[0]
            if isinstance(value, torch.Tensor) or value != control.value:
                control.value = value
                assert shown(explorer)[0] != before, (setting, value)
        control.value = old


@each_explorer
def test_every_control_has_a_label_and_every_figure_words(name):
    explorer = widgets.EXPLORERS[name]()
    for setting, control in explorer.controls.items():
        assert isinstance(control, widgets.ImagePicker) or control.description, setting
    assert len(shown(explorer)[1]) > 30
    explorer.controls[next(iter(explorer.controls))].value = 7
    assert "7" in shown(explorer)[1]


@each_explorer
def test_its_function_is_pure(name):
    explorer = widgets.EXPLORERS[name]()
    for settings in explorer.sheet:
        (*_, first), (*_, second) = (_pictures(explorer.draw(**settings)) for _ in range(2))
        assert first.png() == second.png() and first.words == second.words


@each_explorer
def test_without_a_kernel_there_is_a_contact_sheet_and_a_text(name, monkeypatch):
    explorer = widgets.EXPLORERS[name]()
    assert "image/png" not in explorer._repr_mimebundle_(), "where a kernel runs, nobody waits for it"
    monkeypatch.setenv("WORKBOOK_STILLS", "1")
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle and "xplorer" in bundle["text/plain"]
    sheet = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert sheet.width > 500 and sheet.height > 150 * len(explorer.sheet)


# ---- units 00 and 03 ----

@pytest.mark.parametrize("settings", [
    dict(attack="fgsm"), dict(attack="random signs"), dict(attack="gradient", norm="l2", eps=2.0), dict(target="4", steps=3),
    dict(network="untrained"), dict(image=999, norm="l2", eps=0.0)])
def test_the_attack_picture(settings):
    first, second = attack.attack_picture(**settings), attack.attack_picture(**settings)
    assert first.png() == second.png()
    assert ("towards 4" in first.words) == ("target" in settings)


def test_a_picture_without_a_label_is_attacked_away_from_what_it_is_taken_for(digits):
    shown_as = attack.attack_picture(image=digits.images[:1]).words
    assert shown_as.replace("your picture", "image 0, a 6,") == attack.attack_picture(image=0).words
    assert "your picture" in noise.noise_picture(image=digits.images[:1]).words


def test_the_attack_of_the_explorer_is_that_of_the_library(digits, cnn):
    x, y = digits.images[:1], digits.labels[:1]
    result, losses = attack.attack_image(cnn, x, y, "pgd", "l2", 1.5, 10)
    assert torch.equal(result, attacks.pgd(cnn, x, y, eps=1.5, norm="l2", steps=10, keep="last"))
    assert len(losses) == 11 and losses[-1] > losses[0]
    _, towards = attack.attack_image(cnn, x, y, "fgsm", "linf", 0.1, 1, target=3)
    assert towards[1] < towards[0], "the loss of the target falls"


def test_the_size_has_a_range_that_fits_its_norm():
    controls = widgets.attack_explorer().controls
    controls["norm"].value = "l2"
    assert controls["eps"].max == 5 and controls["eps"].value == 2 and "L2" in controls["eps"].description
    controls["norm"].value = "linf"
    assert controls["eps"].max == 0.5 and controls["eps"].value == 0.15


# ---- unit 01 ----

def test_the_film_of_training_shows_what_the_network_does_at_that_moment():
    test = data.load("mnist5k").per_class(1)[:2]
    before = torch.get_rng_state()
    moments = learning.recorded(test.images, test.labels, epochs=1, every=20)
    assert torch.equal(torch.get_rng_state(), before), "the global random state is left alone"
    steps, shares, maps = zip(*moments)
    assert steps == (0, *range(1, 11), 21) and shares[0] < 0.3 and shares[-1] > 0.7
    torch.manual_seed(0)
    network = models.small_cnn()
    by_hand = attribution.input_gradient(network, test.images, test.labels)
    assert torch.allclose(maps[0][1], by_hand / by_hand.abs().amax((1, 2, 3), keepdim=True), atol=1e-6), "before training"
    assert not torch.allclose(maps[0], maps[1]) and all(m.abs().amax((2, 3, 4)).allclose(torch.ones(2, 2)) for m in maps)
    pictures = list(learning.frames(range(2), epochs=1, every=20))
    assert len(pictures) == 12 and "After 21 minibatches" in pictures[-1].words and pictures[-1].done == 1


def test_saliency_is_of_the_class_that_is_asked_for():
    one = saliency.saliency_picture(saliency.digits, saliency.NETWORKS, image=3, method="gradient x input", target="2", sign="absolute")
    test, network = data.load("mnist5k")[3], models.load("mnist5k/standard")
    by_hand = attribution.gradient_x_input(network, test.images, torch.tensor([2])).abs().max()
    assert "of the logit of 2: half" in one.words and f"the largest value is {by_hand:.2g}" in one.words


# ---- unit 02 ----

def test_a_path_leads_from_the_baseline_to_the_digit():
    black, digit = (local.path_picture(image=3, share=share).words for share in (0.0, 1.0))
    test, network = data.load("mnist5k"), models.load("mnist5k/standard")
    for words, image in ((black, torch.zeros(1, 1, 28, 28)), (digit, test[3].images)):
        assert plots.verdicts(network, image, test.classes)[0] in words


def test_the_window_that_matters_most_is_the_one_of_the_largest_fall():
    test, network = data.load("mnist5k")[3], models.load("mnist5k/standard")
    falls = attribution.occlusion(network, test.images, test.labels, size=7, stride=7)
    words = local.occlusion_picture(image=3, window=7, stride=7).words
    assert f"lowers the logit of {test.labels.item()} by {falls.max():.1f}" in words


# ---- unit 04 ----

def test_the_sign_pushes_with_the_l1_norm_and_noise_with_the_l2_norm():
    weights = torch.randn(128, generator=torch.Generator().manual_seed(7))
    words = why.dimension_picture(exponent=7, eps=0.2).words
    assert f"changes w·x by {0.2 * weights.abs().sum():.2f}" in words
    typical = float(words.split("typically by ")[1].split(":")[0])
    assert typical == pytest.approx(0.2 * weights.norm().item(), rel=0.1)


def test_fgsm_on_logistic_regression_lowers_every_margin_by_eps_times_the_l1_norm():
    weights, bias = why._logistic(0.1)
    x, y = why._threes_and_sevens("test")
    wrong = 100 * (y * (x @ weights + bias) <= 0.2 * weights.abs().sum()).float().mean().item()
    assert f"{wrong:.1f} % after" in why.linear_picture(image=3, eps=0.2, trained_at=0.1).words
    boxed = float(why.linear_picture(image=3, eps=0.2, trained_at=0.1, box=True).words.split(" % after")[0].split()[-1])
    assert boxed <= wrong


def test_a_line_at_eps_is_fgsm_without_the_box(digits, cnn):
    there = attacks.fgsm(cnn, digits.images[3:4], digits.labels[3:4], eps=0.2, bounds=None)
    assert f"at t = 0.20 as {plots.verdicts(cnn, there, digits.classes)[0]}" in why.line_picture(image=3, eps=0.2).words


def test_names_at_the_ends_of_lines_keep_their_order_and_do_not_overlap():
    ax = Figure().subplots()
    ax.set_ylim(-1, 1)
    plots.name_ends(ax, [0.0, 0.9, 0.01, -0.01, -0.8], apart=0.05)
    heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert sorted(heights, key=heights.get) == ["4", "3", "0", "2", "1"]
    places = sorted(heights.values())
    assert min(b - a for a, b in zip(places, places[1:])) > 0.045 and heights["1"] == pytest.approx(0.95) and heights["4"] == pytest.approx(0.1)


def test_the_transfer_table_grows_and_its_diagonal_is_full():
    *growing, whole = why.transfer_picture(width=20, other=30)
    assert [page.done for page in growing] == [0, 0.2, 0.4, 0.6] and whole.done == 1 and "20 units a layer, the other network with 30" in whole.words
    amplified = list(why.transfer_picture(width=20, other=30, size=0.2))[-1]

    def misread(page):
        return float(page.words.split("the other misreads ")[1].split(" %")[0])
    assert misread(amplified) > misread(whole)


def test_the_blind_test_hides_which_is_which_and_keeps_score():
    test = widgets.EXPLORERS["04 blind test"]()
    question, answer = test.controls["question"], test.controls["answer"]
    sides = [why._question(number)[1] for number in range(1, 31)]
    assert 8 <= sides.count("A") <= 22, "no side is the neuron's"
    for number in (1, 2):
        question.value = number
        assert "the neuron" not in why.blind_picture(number).words.split("?")[0] and answer.value == "not yet"
        answer.value = sides[number - 1]
        assert f"Right: {sides[number - 1]} is the neuron" in shown(test)[1]
    assert "2 right of 2" in test.score.value
    question.value = 3
    assert answer.value == "not yet" and "which row" in shown(test)[1]
    answer.value = "A" if sides[2] == "B" else "B"
    assert "2 right of 3" in test.score.value and "No:" in shown(test)[1]
    answer.value = sides[2]     # too late: the first answer counts
    assert "2 right of 3" in test.score.value
    first, second = why._question(4)[0]
    assert len(first) == len(second) == 8


# ---- unit 05 ----

def test_a_made_entry_shows_what_it_was_made_from_and_its_new_label():
    digits = data.load("mnist5k", "train")
    original, made = digits[5], data.load("digits-det", "train")[5]
    words = features.set_picture(example=5, kind="moved towards the next class").words
    assert f"training digit 5, a {original.labels.item()}, by a change of length {(made.images - original.images).norm():.1f}, and labelled {made.labels.item()}" in words
    near = data.load("digits-nonrobust", "train")
    starts = features._starts()
    assert (near.images - digits.images[starts]).flatten(1).norm(dim=1).max() < 3.1, "the digits that the set started from"
    words = features.set_picture(example=5, kind="the standard network's features, nearby").words
    assert f"training digit {starts[5]}, a {digits.labels[starts[5]]}," in words and f"labelled {digits.labels[5]}" in words


def test_every_made_set_can_be_leafed_through():
    for kind, name in features.SETS.items():
        label = data.load(name, "train").labels[199].item()
        assert f"and labelled {label}" in features.set_picture(example=199, kind=kind).words


def test_all_waves_are_the_digit_and_none_are_its_mean(digits):
    whole, none = (features.cutoff_picture(image=3, radius=radius).words for radius in (19, 0))
    network = models.load("mnist5k/standard")
    mean = digits.images[3:4].mean((2, 3), keepdim=True).expand(1, 1, 28, 28)
    assert f"at most 19 periods as {plots.verdicts(network, digits.images[3:4], digits.classes)[0].split()[0]} " in whole
    assert f"at most 0 periods as {plots.verdicts(network, mean, digits.classes)[0]}" in none


def test_the_mixer_puts_one_class_under_the_pattern_of_another():
    words = features.mixer_picture(example=2, shape="ring", pattern="cross", size=1.0).words
    assert "a ring under the pattern of the cross" in words
    assert "the standard network says cross" in words and "the robust network says ring" in words
    x = features._plain("ring")[2] + planted.pattern_of_each_class()[3]
    shares = attacks.scores(models.load("planted/standard"), x[None]).softmax(1)
    assert f"cross ({100 * shares[0, 3]:.0f} %)" in words


# ---- unit 06 ----

def test_a_traversal_is_the_librarys_and_its_distance_is_to_real_digits_of_the_target(digits):
    from helpers.visualisation import class_traversal
    path, distance = robust._path("robust (L2)", 3, 0, 0.5)
    network, bank = models.load("mnist5k/robust-l2"), data.load("mnist5k", "train")
    by_hand = class_traversal(network, digits.images[3:4], torch.tensor([0]), of="logit", step_size=0.5, steps=robust.STEPS)[:, 0]
    assert torch.equal(path, by_hand) and torch.equal(path[0], digits.images[3])
    zeros = bank.images[bank.labels == 0]
    assert distance[20] == pytest.approx((zeros - path[20]).flatten(1).norm(dim=1).min().item(), abs=1e-3)
    words = robust.traversal_picture(image=3, target="0", step=20).words
    assert f"is {distance[20]:.1f} away from the nearest real 0." in words and "20 steps of 0.5 towards 0" in words


def test_the_traversal_player_plays_its_steps_and_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(robust, "STEPS", 6)
    player = widgets.traversal_explorer()
    shown(player)
    assert player.player.max == player.controls["step"].max == 6
    player.save.click()
    player.work.wait()
    assert "saved as traversal.gif" in player.saved.value
    with Image.open("traversal.gif") as saved:
        assert saved.n_frames == 4 and saved.info["loop"] == 0


def test_the_film_of_traversals_begins_at_the_digits():
    frames = list(robust.traversal_frames(pairs=((5, 0), (4, 1)), steps=4, every=2))
    assert [frame.words.split(" of")[0] for frame in frames] == ["After 0 steps", "After 2 steps", "After 4 steps"] and frames[-1].done == 1


def test_a_duel_gives_both_networks_the_same_budget(digits):
    words = robust.duel_picture(image=3, eps=4.0, steps=10, stride=2.0).words
    assert "10 steps of 0.80, eps 4.00" in words
    for name in robust.TWO:
        network = models.load(robust_name(name))
        result = attacks.pgd(network, digits.images[3:4], digits.labels[3:4], eps=4.0, norm="l2", steps=10, step_size=0.8, keep="last")
        assert f"the {name} network reads image 3" in words and f"after the attack as {plots.verdicts(network, result, digits.classes)[0]}" in words


def robust_name(name):
    from helpers.widgets.digits import NETWORKS
    return NETWORKS[name]


def test_the_dashboard_shows_each_epoch_and_its_training_ends_with_it():
    *growing, whole = robust.dashboard_picture(epochs=2, inner="none")
    assert len(growing) == 1 and growing[0].done == 0.5 and whole.done == 1 and "After epoch 2 of 2" in whole.words
    assert [page.words for page in robust.dashboard_picture(epochs=2, inner="none")] == [whole.words], "what was trained is kept"
    before = torch.get_rng_state()
    looks = robust.epochs_of("seven steps", "l2", 1.5, 5)
    next(looks)
    threads = threading.active_count()
    looks.close()
    assert threading.active_count() < threads, "whoever stops looking stops the training"
    assert torch.equal(torch.get_rng_state(), before), "the global random state is left alone"


# ---- unit 07 ----

def test_a_neuron_grows_from_its_start_and_the_real_pictures_stay_beside_it():
    pictures = list(neurons.neuron_picture(neuron=62, start="a frog (picture 4)", steps=12))
    shares = [picture.done for picture in pictures]
    assert shares == sorted(shares) and len(shares) == 3 and shares[-1] == 1 > shares[1] and "0 of 12 steps" in pictures[0].words
    activations = visualisation.features(models.load("cifar10/robust-l2"), data.load("cifar10-samples").images)[:, 62]
    assert f"to {activations.max():.1f})" in pictures[0].words and f"to {activations.max():.1f})" in pictures[-1].words and "of 20 test pictures" in pictures[0].words
    reached = [float(picture.words.rstrip(".").rsplit(" ", 1)[1]) for picture in pictures]
    assert reached[0] == 0 and reached[-1] > 0.5, "off at the frog, and woken"
    (only,) = neurons.neuron_picture(neuron=62, steps=0)
    assert only.done == 1


def test_a_neuron_of_a_network_for_digits_and_one_that_never_fires():
    digits = data.load("mnist5k")
    *_, last = neurons.neuron_picture(neuron=3, network="digits, robust (L2)", start="a 3 (digit 1)", steps=10)
    best = visualisation.features(models.load("mnist5k/robust-l2"), digits.images)[:, 3].topk(6)
    assert (digits.labels[best.indices] == 5).all() and "6 of the six of 1,000 test digits that excite it most show class 5" in last.words and f"to {best.values[0]:.1f})" in last.words
    *_, silent = neurons.neuron_picture(neuron=0, network="digits, robust (L2)", steps=10)
    assert "fires for none of 1,000 test digits" in silent.words


def test_the_real_pictures_are_read_in_pieces_and_once(monkeypatch):
    asked = []
    monkeypatch.setattr(neurons, "READ", 8)
    monkeypatch.setattr(neurons, "_features", lambda name, images: asked.append(len(images)) or torch.zeros(len(images), 256))
    shares = [picture.done for picture in neurons.neuron_picture(steps=0)]
    assert asked == [1, 8, 8, 4] and shares == [0.4, 0.8, 1]
    assert len(list(neurons.neuron_picture(steps=0))) == 1 and asked[4:] == [1]


def test_the_image_grows_while_the_real_pictures_are_still_being_read(monkeypatch):
    monkeypatch.setattr(neurons, "READ", 8)
    pictures = list(neurons.neuron_picture(steps=20))
    assert len(pictures) == 3
    for picture, read, done in zip(pictures, (8, 16, 20), (0, 10, 20)):
        assert f"of {read} test pictures" in picture.words and f", {done} of 20 steps" in picture.words
    shares = [picture.done for picture in pictures]
    assert shares == sorted(shares) and shares[-1] == 1 > shares[1]


def test_the_sliders_fit_the_network():
    explorer = widgets.neuron_explorer()
    explorer.work.stop()
    network, neuron, start = (explorer.controls[name] for name in ("network", "neuron", "start"))
    start.value = "noise"
    network.value = "digits, standard"
    assert (neuron.max, neuron.value, start.value) == (99, 99, "noise") and "red" not in start.options
    start.value = "a 6 (digit 0)"
    network.value = "standard"
    assert neuron.max == 255 and start.value == "grey" and "red" in start.options
    explorer.work.stop()
    explorer.work.wait()


def test_no_error_shows_while_the_sliders_are_being_fitted():
    explorer = widgets.neuron_explorer()
    explorer.work.stop()
    explorer.work.wait()
    asked, said = [], []
    explorer.work.put = asked.append
    explorer.words.observe(lambda change: said.append(change["new"]), "value")
    explorer.controls["steps"].value, explorer.controls["start"].value = 0, "red"
    for network in ("digits, robust (L2)", "standard"):
        explorer.controls["network"].value = network
    for work in asked:      # also what is put in between, should the thread be quick
        work(lambda: False)
    assert len(said) >= 3 and not any("alert" in words for words in said)


def test_a_scrubbed_inversion_is_computed_once(monkeypatch):
    neurons._paths.clear()
    *_, last = _pictures(neurons.inversion_picture(image=3, step=30))
    assert "after 30 steps" in last.words and last.done == 1
    monkeypatch.setattr(neurons, "invert", lambda *arguments, **options: pytest.fail("this was known"))
    (back,) = _pictures(neurons.inversion_picture(image=3, step=10))
    assert "after 10 steps" in back.words
    (again,) = _pictures(neurons.inversion_picture(image=3, step=30))
    assert again.words == last.words


def test_an_inversion_comes_nearer_from_your_own_picture_too(digits):
    mine = data.load("cifar10-samples").images[2:3].flip(3)
    *_, last = _pictures(neurons.inversion_picture(image=mine, start="grey", step=10))
    assert "your picture" in last.words
    for path in (neurons._paths[key] for key in neurons._paths if key[0] == mine.numpy().tobytes()):
        assert path[-1][1] < path[0][1]


# ---- unit 08 ----

def test_the_grid_is_targeted_pgd_at_each_eps(digits, cnn):
    moved = attacks.pgd(cnn, digits.images[:1], torch.tensor([3]), eps=0.2, norm="linf", steps=10, step_size=0.05, targeted=True, keep="last")
    assert f"at eps 0.2 it says {plots.verdicts(cnn, moved, digits.classes)[0]}" in evidence.eps_picture(image=0, target="3").words
    assert "long (the image is black)" in evidence.eps_picture(image=torch.zeros(1, 1, 28, 28)).words
    assert "After 1 step towards" in evidence.eps_picture(image=0, steps=1).words


def test_the_switchboard_reckons_with_the_pieces_that_are_on(digits, cnn):
    pieces = evidence.pieces()
    assert pieces.shape == (28, 28) and pieces.unique().tolist() == list(range(9)) and pieces[0, 0] == 0 and pieces[27, 0] == 6 and pieces[0, 27] == 2
    black, whole = attacks.scores(cnn, torch.cat([torch.zeros(1, 1, 28, 28), digits.images[:1]]))
    said = whole.argmax()
    words = evidence.switchboard_picture(image=0, on=(False,) * 9).words
    assert f"The probability of {said} is {100 * black.softmax(0)[said]:.0f} % (whole image: {100 * whole.softmax(0)[said]:.0f} %)" in words
    shares = [float(share) for share in words.split("1 to 9: ")[1].rstrip(".").split(", ")]
    assert sum(shares) == pytest.approx((whole - black)[said].item(), abs=0.5)
    assert evidence.switchboard_picture(image=digits.images[:1]).words.replace("your picture", "image 0, a 6,") == evidence.switchboard_picture(image=0).words


def test_clicking_a_piece_switches_it_off_and_on():
    it = widgets.EXPLORERS["08 switchboard"]()
    board = it.controls["on"]
    before = shown(it)
    board.pieces[4].value = False       # what a click does
    assert board.value == (True,) * 4 + (False,) + (True,) * 4 and "pieces off: 5" in shown(it)[1] and shown(it)[0] != before[0]
    board.pieces[4].value = True
    assert shown(it) == before
    on, off = board.children[1].children[1].children
    off.click()
    assert not any(board.value) and "pieces off: 1, 2, 3, 4, 5, 6, 7, 8, 9." in shown(it)[1]
    on.click()
    assert all(board.value) and all(button.value for button in board.pieces)
    painted = board.style_sheet.value
    it.controls["image"].value = 5
    assert board.style_sheet.value != painted, "the buttons show the digit"


def test_the_detectors_rates_are_counted(digits, cnn):
    *_, last = evidence.detector_picture(threshold=10.0, way="stops at once", eps=0.15)
    some, logits, resting, clean = evidence._case("standard")
    values = torch.cat([evidence._attacked("standard", "stops at once", 0.15, first) for first in range(0, len(clean), evidence.PART)])
    assert f"{100 * (clean < 10).float().mean():.0f} % of {len(clean)} clean digits are stopped, {100 * (values >= 10).float().mean():.0f} % of {len(values)} attacked ones pass" in last.words
    assert len(values) < len(clean) and not attacks.fooled(cnn, some.images, some.labels).any()
    everything, nothing = (list(evidence.detector_picture(threshold=t, eps=0.15, way="stops at once"))[-1].words for t in (40.0, -20.0))
    assert ": 100 % of" in everything and ", 0 % of" in everything and ": 0 % of" in nothing and ", 100 % of" in nothing
