"""What all widgets share, without a browser: real ipywidgets, values set, outputs looked at."""
import base64
import datetime
import io
import threading
import time

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from helpers import data, widgets
from helpers.widgets.explorer import Latest
from .test_pictures import as_bytes


def shown(explorer):
    """What is there when everything is computed: (picture, words). An error in a callback is in the words, and fails the test."""
    explorer.work.wait()
    assert "alert" not in explorer.words.value, explorer.words.value
    assert not explorer.progress.mark.value
    return bytes(explorer.picture.value), explorer.words.value


# ---- the pattern ----

def plain(value=0, **settings):
    return widgets.Picture(Figure(figsize=(1, 1)), f"value {value}")


def explorer(draw, **options):
    import ipywidgets
    return widgets.Explorer(draw, {"value": ipywidgets.IntSlider(min=0, max=100, description="value")}, [{"value": 1}], "Explorer", **options)


def test_the_last_request_wins_and_not_all_are_drawn():
    drawn, go = [], threading.Event()

    def slow(value):
        drawn.append(value)
        go.wait(10)
        return plain(value)
    it = explorer(slow)
    while not drawn:
        time.sleep(0.01)
    assert "computing" in it.progress.mark.value, "busy while it computes"
    for value in range(1, 51):
        it.controls["value"].value = value
    go.set()
    assert "value 50" in shown(it)[1]
    assert drawn == [0, 50]


def test_a_picture_that_grows_is_seen_growing_and_gives_way_to_a_newer_request():
    seen, go = [], threading.Event()

    def growing(value):
        for step in range(5):
            seen.append((value, step))
            yield widgets.Picture(Figure(figsize=(1, 1)), f"value {value}, step {step}", (step + 1) / 5)
            if value == 0 and step == 1:
                go.wait(10)
    it = explorer(growing)
    while "step 1" not in it.words.value:
        time.sleep(0.01)
    assert it.progress.bar.value == 0.4 and it.progress.bar.layout.display is None and it.progress.stop.layout.display is None
    it.controls["value"].value = 9
    go.set()
    assert "value 9, step 4" in shown(it)[1]
    assert seen == [(0, 0), (0, 1), (0, 2), *((9, step) for step in range(5))]
    assert it.progress.bar.layout.display == "none"


def test_stop_keeps_what_is_there():
    def endless(value):
        step = 0
        while True:
            step += 1
            time.sleep(0.005)
            yield widgets.Picture(Figure(figsize=(1, 1)), f"step {step}", 0.5)
    it = explorer(endless)
    while "step 2" not in it.words.value:
        time.sleep(0.01)
    it.progress.stop.click()
    assert "step" in shown(it)[1]
    it.controls["value"].value = 3      # and it starts again
    it.progress.stop.click()
    it.work.wait()


@pytest.mark.parametrize("error, words", [(ZeroDivisionError("division by <zero>"), "ZeroDivisionError: division by &lt;zero&gt;"),
                                          (ValueError("eps must not be negative"), ">eps must not be negative")])
def test_an_error_shows_in_words_and_the_last_picture_stays(error, words):
    def draw(value):
        if value:
            raise error
        return plain(value)
    it = explorer(draw)
    before = shown(it)[0]
    it.controls["value"].value = 1
    it.work.wait()
    assert words in it.words.value and "alert" in it.words.value
    assert bytes(it.picture.value) == before and not it.progress.mark.value
    it.controls["value"].value = 0
    assert "value 0" in shown(it)[1]


def test_work_that_breaks_out_does_not_leave_it_dead(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)    # here it is meant to

    def out(outdated):
        raise SystemExit
    work, done = Latest(lambda busy: None), []
    work.put(out)
    work.wait(5)
    work.put(lambda outdated: done.append(1))
    work.wait(5)
    assert done == [1]


def test_waiting_has_an_end():
    go = threading.Event()
    work = Latest(lambda busy: None)
    work.put(lambda outdated: go.wait(10))
    with pytest.raises(TimeoutError, match="still computing after 0.01 s"):
        work.wait(0.01)
    go.set()
    work.wait()


# ---- picking an image ----

def test_a_page_of_images_the_arrows_and_the_filter(digits):
    picker = widgets.ImagePicker(digits, per_page=12)
    assert [button.tooltip for button in picker.tiles] == [f"image {i}: {digits.labels[i]}" for i in range(12)]
    picker.tiles[5].click()
    assert picker.value == picker.number.value == 5 and f"labelled {digits.labels[5]}" in picker.said.value
    picker._turn(-1)
    assert picker.places == [36, 37, 38, 39], "from the first page back to the last"
    assert [button.layout.visibility for button in picker.tiles] == ["visible"] * 4 + ["hidden"] * 8
    picker.tiles[3].click()
    assert picker.value == 39
    picker.kind.value = 6
    assert picker.places == (digits.labels == 6).nonzero()[:, 0].tolist() and picker.value == 39
    picker.number.value = 1     # a 3: the filter gives way
    assert picker.kind.value == -1 and picker.value == 1 and 1 in picker.places


def upload(picker, name, content):
    picker.upload.value = ({"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": datetime.datetime(2026, 1, 1)},)


def test_your_own_picture(digits):
    picker = widgets.ImagePicker(digits, light_on_dark=True)
    upload(picker, "mine<b>.png", as_bytes(Image.new("RGB", (300, 400), "white")))
    assert isinstance(picker.value, torch.Tensor) and picker.value.shape == (1, 1, 28, 28) and picker.value.max() == 0
    assert "mine&lt;b&gt;.png" in picker.said.value and picker.upload.value == ()
    mine = picker.value
    upload(picker, "notes.txt", b"hello")
    assert picker.value is mine and "notes.txt is not a picture" in picker.said.value and "PNG, JPEG" in picker.said.value
    picker.tiles[0].click()     # back to the set, also to the image that was chosen before
    assert picker.value == 0 and "labelled" in picker.said.value


# ---- films ----

def pages(n=5, error=None):
    for i in range(n):
        yield widgets.Picture(Figure(figsize=(1, 1), facecolor=(i / n, 0, 0)), f"frame {i}")
    if error:
        raise error


def test_a_film_plays_scrubs_and_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = widgets.Film(pages(), total=5, name="growth")
    film.work.wait()
    assert film.slider.max == film.player.max == 4 and film.words.value == "frame 0"
    first = film.picture.value
    film.slider.value = 3
    assert film.words.value == "frame 3" and film.picture.value != first
    film.save.click()
    film.save.click()
    assert "saved as growth-2.gif" in film.saved.value
    film.slider.value = 1
    assert film.words.value == "frame 1" and "saved as" in film.saved.value, "a caption does not take its place"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["growth-2.gif", "growth.gif"]
    with Image.open("growth.gif") as saved:
        assert saved.n_frames == 5 and saved.info["loop"] == 0 and saved.info["duration"] == 120


def test_a_film_that_fails_keeps_its_frames_and_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = widgets.Film(pages(3, ValueError("no more <light>")), total=5)
    film.work.wait()
    assert len(film.frames) == 3 and "no more &lt;light&gt;" in film.words.value and film.progress.bar.layout.display == "none"
    none = widgets.Film(pages(0))
    none.work.wait()
    none.save.click()
    assert "the film has no frames" in none.saved.value and not list(tmp_path.iterdir())


def test_a_committed_film_moves_and_has_a_still_beside_it(monkeypatch):
    from IPython.utils.capture import capture_output
    monkeypatch.setenv("WORKBOOK_STILLS", "1")
    with capture_output():
        bundle = widgets.Film(pages(), total=5, describe="Red grows")._repr_mimebundle_()
    assert "data:image/gif;base64" in bundle["text/html"] and "alt='Red grows'" in bundle["text/html"]
    film = widgets.Film(pages(), total=5)
    film.work.wait()
    assert Image.open(io.BytesIO(film.still())).size == (3 * 96, 2 * 96)
    monkeypatch.setattr("helpers.widgets.film.MAX_COMMITTED", 100)
    with pytest.raises(ValueError, match="make it smaller"):
        film._repr_mimebundle_()
