"""The course in a real browser: JupyterLab as `make lab` starts it, driven with Playwright in Debian's Chromium.

Screenshots of every explorer, and how long a key press took to change the picture, are kept in test-results/.
"""
import io
import json
import os
import re
import shutil
import time

import nbformat
import pytest
from PIL import Image, ImageDraw

from helpers.widgets import EXPLORERS
from .jupyter import ROOT, Notebook, copy_of_the_tree, end_kernels, make_lab

RESULTS = ROOT / "test-results"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not CHROMIUM:
    if os.environ.get("WORKBOOK_BROWSER") == "required":
        raise RuntimeError("these tests must run here (WORKBOOK_BROWSER=required), but there is no Chromium.")
    pytest.skip("no Chromium on this machine: `sudo apt install chromium` runs these tests too", allow_module_level=True)


FILM = """
import time
from PIL import Image
from helpers.widgets import Film

def frames():
    for shade in range(0, 200, 5):
        time.sleep(0.3)
        yield Image.new("RGB", (200, 120), (shade, 80, 200 - shade))

Film(frames(), total=40, describe="Blue turns red", name="blue-to-red")
"""


def scratch(root, name, source):
    """A notebook of one cell in the copy's my-work/."""
    (root / "my-work").mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
                                            cells=[nbformat.v4.new_code_cell(source)]), root / "my-work" / f"{name}.ipynb")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A copy of the tree with a scratch notebook for each explorer, JupyterLab running in it: (its folder, the address)."""
    root = copy_of_the_tree(tmp_path_factory.mktemp("tree"))
    for name in EXPLORERS:
        scratch(root, slug(name), f"from helpers.widgets import EXPLORERS\nEXPLORERS[{name!r}]()")
    scratch(root, "film", FILM)
    home = tmp_path_factory.mktemp("home")      # nobody's settings
    with make_lab(root, HOME=str(home), PYTHONPATH=str(root)) as (address, log):
        yield root, address


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        options = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        if os.getuid() == 0:
            options.append("--no-sandbox")      # Chromium's sandbox refuses to start for root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def notebook(lab, browser, request):
    """A function that opens a notebook of the copy in a fresh page. Whatever the page reports as an error fails the test."""
    root, address = lab
    pages, errors = [], []
    RESULTS.mkdir(exist_ok=True)

    def open_(path):
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append(page)
        return Notebook(page, address, path, root)
    yield open_
    for i, page in enumerate(pages):
        page.screenshot(path=RESULTS / f"last-{request.node.name.replace(' ', '-')}-{i}.png")     # what to look at after a failure
        page.close()
    end_kernels(address)
    assert not errors, errors


def slug(name):
    return name.replace(" ", "-")


def picture(explorer):
    return explorer.locator("img.workbook-picture").get_attribute("src")


def settled(page, explorer, before, seconds=30):
    """Wait until the picture is another one and nothing is computed any more; returns its address."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        now = picture(explorer)
        if now != before and not explorer.locator(".workbook-busy").inner_text().strip():
            return now
        page.wait_for_timeout(30)
    raise AssertionError(f"the picture did not change within {seconds} s: {explorer.inner_text()}")


def press(page, explorer, key):
    """Press a key; milliseconds until the picture changes, as the page sees it."""
    page.evaluate("""() => {
        const picture = document.querySelector('.workbook-explorer img.workbook-picture');
        window.answer = new Promise(resolve => {
            let start = null;
            document.addEventListener('keydown', () => { start = start ?? performance.now(); }, {once: true, capture: true});
            new MutationObserver(() => { if (start !== null) resolve(performance.now() - start); })
                .observe(picture, {attributes: true, attributeFilter: ['src']});
        });
    }""")
    before = picture(explorer)
    page.keyboard.press(key)
    milliseconds = page.evaluate("() => Promise.race([window.answer, new Promise(resolve => setTimeout(resolve, 60000, null))])")
    assert milliseconds is not None, f"{key} changes nothing: {explorer.inner_text()}"
    settled(page, explorer, before)
    return milliseconds


def keep(what, values):
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{what}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | values, indent=1))


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer(notebook, name):
    """Every control is labelled and works by keyboard, the picture follows, and the contact sheet is not in the way."""
    book = notebook(f"my-work/{slug(name)}.ipynb")
    page = book.page
    book.run("EXPLORERS")
    explorer = page.locator(".workbook-explorer").first
    settled(page, explorer, None)
    assert explorer.locator(".workbook-words").inner_text().strip()
    assert page.locator(".jp-OutputArea-output img").count() == 1, "the live picture alone"

    milliseconds = []
    for handle in explorer.locator(".widget-slider .noUi-handle").all():
        handle.focus()
        before = picture(explorer)
        took = [press(page, explorer, key) for key in ("ArrowRight", "ArrowLeft", "ArrowRight", "ArrowLeft", "ArrowRight")]     # no slider ends there
        milliseconds.append(sorted(took)[2])
        assert picture(explorer) != before
    for box in explorer.locator(".widget-dropdown select").all():
        assert box.evaluate("box => box.labels[0].innerText"), "a label"
    if milliseconds:
        keep("latency", {name: round(max(milliseconds))})
    RESULTS.mkdir(exist_ok=True)
    explorer.screenshot(path=RESULTS / f"{slug(name)}.png")


def test_pieces_of_the_switchboard_by_mouse_and_keyboard(notebook):
    book = notebook(f"my-work/{slug('08 switchboard')}.ipynb")
    book.run("EXPLORERS")
    explorer = book.page.locator(".workbook-explorer").first
    settled(book.page, explorer, None)
    words = explorer.locator(".workbook-words")
    piece = explorer.get_by_role("button", name="5", exact=True)
    assert "url(" in piece.evaluate("button => getComputedStyle(button).backgroundImage"), "it shows its piece of the digit"
    piece.click()
    words.get_by_text("pieces off: 5.").wait_for(timeout=20_000)
    assert float(piece.evaluate("button => getComputedStyle(button).opacity")) < 0.5
    piece.focus()
    book.page.keyboard.press("Space")
    words.get_by_text("pieces off: none.").wait_for(timeout=20_000)
    explorer.get_by_role("button", name="all off").click()
    words.get_by_text("pieces off: 1, 2, 3").wait_for(timeout=20_000)
    explorer.screenshot(path=RESULTS / "switchboard-off.png")


def png(size, draw=lambda pen: None):
    """A white picture with something on it, as the bytes of a PNG."""
    picture, file = Image.new("RGB", size, "white"), io.BytesIO()
    draw(ImageDraw.Draw(picture))
    picture.save(file, "png")
    return file.getvalue()


def test_a_lecture(notebook):
    """Run all of unit 03's lecture; then drag, choose, pick, upload: the picture follows, and what is no picture is told in words."""
    book = notebook("notebooks/03_adversarial_examples.ipynb")
    page = book.page
    book.run_all()
    book.cell("attack_explorer")
    explorer = page.locator(".workbook-explorer").first
    explorer.scroll_into_view_if_needed()
    settled(page, explorer, None)

    def reads(text):    # in the end: positions of a drag may still be on their way
        explorer.locator(".workbook-words", has_text=text).wait_for(timeout=30_000)

    handle = explorer.locator(".widget-slider", has_text="eps (largest").locator(".noUi-handle")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(20):     # many positions a second: more than can be drawn
        page.mouse.move(x + 4 * i, y)
        page.wait_for_timeout(15)
    page.mouse.up()
    eps = explorer.locator(".widget-slider", has_text="eps (largest").locator(".widget-readout").inner_text()
    assert float(eps) > 0.2
    reads(f"largest pixel is {float(eps):.2f}")     # the last position is the one that counts

    explorer.locator(".widget-dropdown", has_text="target class").locator("select").select_option("3")
    reads("towards 3")
    explorer.locator("button[title^='image 4:']").focus()
    page.keyboard.press("Enter")
    reads("reads image 4, a ")

    said = explorer.locator(".workbook-picked")

    def upload(name, content):
        with page.expect_file_chooser() as chooser:
            explorer.locator("button.widget-upload").click()
        chooser.value.set_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})
    one = png((600, 900), lambda pen: pen.line([(300, 200), (300, 700)], fill="black", width=60))
    upload("one.png", one)
    reads("reads your picture as 1 ")
    before = settled(page, explorer, None)
    assert "one.png" in said.inner_text()
    explorer.screenshot(path=RESULTS / "own-picture.png")
    for name, content, word in (("notes.txt", b"not a picture", "not a picture"), ("big.png", one + bytes(24_000_000), "24.0 MB"),
                                ("cut.png", one[:len(one) // 2], "cut short")):
        upload(name, content)
        said.get_by_text(word).wait_for(timeout=20_000)
        assert name in said.inner_text()
    assert picture(explorer) == before, "the last good picture stays"


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem[:2] not in ("00", "03")])
def test_another_lecture(notebook, name):
    """Run all of it: no error, and each explorer and film has its picture."""
    book = notebook(f"notebooks/{name}.ipynb")
    book.run_all()
    found = 0
    for i, cell in enumerate(book.cells):       # cells out of sight are not in the page
        if cell.cell_type == "code":
            shown = book.page.locator(f'.jp-Cell[data-windowed-list-index="{i}"]')
            shown.scroll_into_view_if_needed()
            assert not shown.get_by_text("Traceback (most recent call last)").count(), shown.inner_text()
            if shown.locator(".workbook-explorer").count():
                settled(book.page, shown.locator(".workbook-explorer"), None, seconds=120)
                found += 1
    assert found == sum(cell.source.endswith(("_explorer()", "_film()")) for cell in book.cells) > 0


def test_an_exercise_from_unsolved_to_done(notebook):
    book = notebook("my-work/00_start_here.ipynb")
    solution = next(cell.source for cell in nbformat.read(ROOT / "solutions/00_start_here.ipynb", 4).cells if cell.source.startswith("def accuracy"))
    book.run("import matplotlib")
    book.run('test = data.load("mnist5k")')
    book.run("def accuracy")
    assert "○ 0.2 not attempted" in book.run('check("0.2"')
    assert "NotImplementedError: Exercise 0.2" in book.run('print(f"{100 * accuracy')
    assert "0.2 hint 1 of 2" in book.run('check("0.2"', 'hint("0.2")')
    assert "0.2 hint 2 of 2" in book.run('check("0.2"', 'hint("0.2")')
    assert "0 of 2" in book.run('progress("00")')

    book.run("def accuracy", solution.replace("==", "!="))
    said = book.run('check("0.2"', 'check("0.2", accuracy)')
    assert "✗ 0.2 not yet right" in said and "share of wrong answers" in said
    book.run("def accuracy", solution)
    assert "✓ 0.2 correct" in book.run('check("0.2"')
    book.cell('check("0.2"').screenshot(path=RESULTS / "check.png")
    assert "1 of 2" in book.run('progress("00")')

    unlocked = book.cell("predict").locator(".jp-OutputArea-output img")
    book.run("predict", 'predict("0.3", ...)')
    assert unlocked.count() == 0, "no picture before the guess"
    assert "Measured:" in book.run("predict", 'predict("0.3", 10)')
    assert unlocked.count() == 1
    assert "2 of 2" in book.run('progress("00")')


def test_a_film(notebook, lab):
    """It plays while it is being made, can be stopped, scrubbed, and saved."""
    book = notebook("my-work/film.ipynb")
    page = book.page
    book.run("import time")
    film = page.locator(".workbook-explorer").first
    page.locator(".workbook-explorer .noUi-handle:not([aria-valuemax='0.0'])").wait_for(timeout=10_000)     # two frames are there
    film.get_by_role("button", name="stop").click()
    film.locator(".workbook-busy", has_text="computing").wait_for(state="hidden", timeout=5000)
    assert not film.locator(".progress").is_visible()
    last = int(film.locator(".noUi-handle").get_attribute("aria-valuemax").split(".")[0])
    assert 1 <= last < 39, "stopped before the end"
    before = picture(film)
    film.locator(".widget-play button").first.click()
    before = settled(page, film, before)
    film.locator(".noUi-handle").focus()
    page.keyboard.press("Home")
    film.screenshot(path=RESULTS / "film.png")
    film.get_by_role("button", name="save as GIF").click()
    film.get_by_text("saved as blue-to-red.gif").wait_for(timeout=10_000)
    with Image.open(lab[0] / "my-work" / "blue-to-red.gif") as saved:
        assert saved.n_frames == last + 1
