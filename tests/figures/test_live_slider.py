"""The slider in a live notebook, and where that notebook is shown without a kernel."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode

VIEW = "application/vnd.jupyter.widget-view+json"
SHOW = """\
import matplotlib.pyplot as plt
from lth_utils.figures.explore import explore

def show(density, arm="ticket"):
    print("drawing", density)
    fig, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, density])
    return fig, f"This is {arm} at {density}."

one = explore(show, alt="A line.", density=[1.0, 0.5, 0.2])
one"""
MOVE = "one.sliders[0].index = 1"
SEEN = "print(one.picture.value)"
SAID = "print([output['text'] for output in one.said.outputs])"
PLAY = "one.play.value = 2; print(one.sliders[0].index, one.play.max)"
TWO = """\
two = explore(show, density=[1.0, 0.5], arm=["ticket", "reinit"])
two.sliders[1].index = 1
print(two.picture.value)"""
FAIL = """\
wrong = explore(lambda d: show(d) if d == 1 else None, density=[1.0, 0.5])
wrong.sliders[0].index = 1"""
WRONG = "print(wrong.said.outputs)"
WITHOUT = "import sys; sys.modules['ipywidgets'] = None"


@pytest.fixture(autouse=True)
def _not_building_the_book(monkeypatch):
    monkeypatch.delenv("LTH_BOOK", raising=False)


def run(*cells: str) -> NotebookNode:
    """Run cells in a kernel of their own."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in cells]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


@pytest.fixture(scope="module")
def live() -> dict[str, list]:
    """Return the outputs of each cell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LTH_BOOK", raising=False)
        notebook = run(SHOW, MOVE, SEEN, SAID, PLAY, SEEN + " ", TWO, FAIL, WRONG)
    return {cell.source: cell.outputs for cell in notebook.cells}


def shown(outputs: list) -> dict:
    (found,) = (each["data"] for each in outputs if "data" in each)
    return found


def text(outputs: list) -> str:
    return "".join(each.get("text", "") for each in outputs)


def test_a_live_notebook_gets_widgets_that_draw_when_moved(live):
    assert VIEW in shown(live[SHOW])
    assert text(live[SHOW]) == "drawing 1.0\n"
    assert "This is ticket at 0.5." in text(live[SEEN])
    assert 'alt="A line. Weights remaining: 50 %"' in text(live[SEEN])
    assert "This is ticket at 1.0." not in text(live[SEEN])


def test_what_the_function_prints_stays_with_the_slider(live):
    assert not live[MOVE]
    assert "drawing 0.5" in text(live[SAID])


def test_the_play_control_moves_the_slider(live):
    assert text(live[PLAY]) == "2 2\n"
    assert "This is ticket at 0.2." in text(live[SEEN + " "])


def test_two_lists_get_two_sliders(live):
    assert "This is reinit at 1.0." in text(live[TWO])


def test_a_function_that_fails_says_so_beside_the_slider(live):
    assert "Your function returned nothing for density = 50 %" in text(live[WRONG])


def test_a_saved_notebook_shows_the_picture_without_a_kernel(live):
    """As on GitHub, which takes the HTML, and in what nbconvert makes of it.

    The notebook does not hold the widgets' state: few front ends save it.
    """
    saved = shown(live[SHOW])
    assert "Weights remaining: 100 %. Run this cell to move" in saved["text/html"]
    assert "This is ticket at 1.0." in saved["text/html"]
    assert saved["text/plain"].endswith("Weights remaining: 100 %, 50 %, 20 %")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(SHOW, outputs=live[SHOW])]
    page, _ = HTMLExporter().from_notebook_node(notebook)
    (image,) = re.findall("<img[^>]*>", page)
    assert 'src="data:image/svg+xml,' in image
    assert 'alt="A line. Weights remaining: 100 %"' in image
    assert "This is ticket at 1.0." in page


def test_without_ipywidgets_a_live_notebook_gets_the_pages_slider():
    found = shown(run(WITHOUT, SHOW).cells[1].outputs)
    assert VIEW not in found
    assert 'type="range"' in found["text/html"]
    assert found["text/plain"].endswith("100 %, 50 %, 20 %")
