"""Every slider of the book in Chromium, without a network.

By keyboard, mouse and finger; played; and on paper. A page is opened once.
"""

import json
from collections.abc import Iterator
from itertools import product

import pytest
from book_fixtures import chapters
from browser_fixtures import NARROW, WIDE, Reader

PAGES = [*chapters(), "book/intro"]


@pytest.fixture(scope="module", params=PAGES)
def page(request, browser, site) -> Iterator:
    """A page in a browser that has a mouse, a finger, and a clock that can be set."""
    reader = Reader(browser, site, has_touch=True, reduced_motion="reduce")
    reader.page.clock.install()
    yield reader.open(request.param)
    reader.context.close()
    assert not reader.wrong


@pytest.fixture
def boxes(page) -> list:
    boxes = page.locator(".lth-explore").all()
    assert boxes, "a chapter has at least one slider"
    inputs = page.locator("article input[type=range]").count()
    assert page.locator(".lth-explore input").count() == inputs
    return boxes


def state(box) -> dict[str, str | list[str] | None]:
    picture = box.locator("img").first
    return {
        "label": box.locator("output").all_inner_texts(),
        "picture": picture.get_attribute("src"),
        "alt": picture.get_attribute("alt"),
    }


def changed(before: dict, after: dict) -> set[str]:
    return {key for key in before if before[key] != after[key]}


def test_each_is_named_and_announces_its_value(boxes):
    for box in boxes:
        outputs = box.locator("output").all()
        for slider, output in zip(
            box.get_by_role("slider").all(), outputs, strict=True
        ):
            assert slider.evaluate("e => e.labels.length") == 1
            assert output.get_attribute("aria-live") == "polite"
            assert output.get_attribute("for") == slider.get_attribute("id")
            told = slider.get_attribute("aria-valuetext")
            assert told == output.inner_text()


def test_each_moves_by_keyboard(boxes):
    for box in boxes:
        for slider in box.get_by_role("slider").all():
            first = state(box)
            slider.press("ArrowRight")
            assert changed(first, state(box)) == set(first)
            told = slider.get_attribute("aria-valuetext")
            assert told in state(box)["label"]
            slider.press("End")
            assert slider.input_value() == slider.get_attribute("max")
            slider.press("Home")
            assert state(box) == first


@pytest.mark.parametrize("way", ["click", "tap"])
def test_each_moves_by_mouse_and_by_finger(boxes, way):
    for box in boxes:
        for slider in box.get_by_role("slider").all():
            first = state(box)
            size = slider.bounding_box()
            end = {"x": size["width"] - 4, "y": size["height"] / 2}
            getattr(slider, way)(position=end)
            assert changed(first, state(box)) == set(first)
            assert slider.input_value() == slider.get_attribute("max")
            image = box.locator("img").first
            assert all(image.evaluate("e => [e.complete, e.naturalWidth]"))
            slider.press("Home")
            assert state(box) == first


def test_each_plays_to_its_end_when_asked(page, boxes):
    for box in boxes:
        button, slider = box.get_by_role("button"), box.get_by_role("slider").first
        first = state(box)
        page.clock.run_for(5000)
        assert state(box) == first, "it moved by itself"
        assert button.bounding_box()["height"] >= 44
        button.press("Enter")
        assert button.inner_text() == "Pause"
        live = box.locator("output").first
        assert live.get_attribute("aria-live") == "off"
        page.clock.run_for(1000)
        second = state(box)
        assert changed(first, second) == set(first)
        button.press("Space")
        page.clock.run_for(5000)
        assert state(box) == second, "it did not pause"
        button.tap()
        page.clock.run_for(1000 * int(slider.get_attribute("max")))
        assert slider.input_value() == slider.get_attribute("max")
        assert button.inner_text() == "Play"
        assert live.get_attribute("aria-live") == "polite"
        button.click()  # from the end it starts anew, and a reader's hand stops it
        assert state(box) == first
        slider.press("ArrowRight")
        page.clock.run_for(5000)
        assert state(box) == second
        slider.press("Home")


def test_paper_shows_the_middle_frame_of_each(page, boxes):
    page.emulate_media(media="print")
    for box in boxes:
        data = json.loads(box.locator("script").text_content())
        lists = [[stop["label"] for stop in axis] for axis in data["axes"]]
        places = [len(labels) // 2 for labels in lists]
        grid = list(product(*map(range, map(len, lists))))
        (image,) = box.locator("img:visible").all()
        assert image.get_attribute("data-frame") == str(grid.index(tuple(places)))
        assert box.locator("input:visible, button:visible").count() == 0
        assert box.locator("p:visible").count() <= 1
        told = box.locator("span:visible").all_inner_texts()
        assert told == [labels[at] for labels, at in zip(lists, places, strict=True)]
    page.emulate_media(media="screen")


# Where everything below the slider begins, and how wide it is.
BELOW = """box => {
  const place = box.getBoundingClientRect();
  return [Math.round(place.bottom + scrollY), Math.round(place.width)];
}"""


@pytest.mark.parametrize("name", PAGES)
def test_no_stop_moves_the_page(reader, name):
    for size in (NARROW, WIDE):
        reader.page.set_viewport_size(size)
        page = reader.open(name)  # anew: a page that is resized takes its time
        for box in page.locator(".lth-explore").all():
            sliders = box.get_by_role("slider").all()
            stops = [range(int(each.get_attribute("max")) + 1) for each in sliders]
            seen = set()
            for places in product(*stops):
                for slider, place in zip(sliders, places, strict=True):
                    slider.fill(str(place))
                box.locator("img").first.evaluate("image => image.decode()")
                seen.add(tuple(box.evaluate(BELOW)))
                assert box.locator("p:visible").count() <= 1
            assert len(seen) == 1, (name, size)


def test_each_takes_a_megabyte_at_most(site):
    for name in PAGES:
        text = (site / f"{name}.html").read_text("utf8")
        for slider in text.split('<div class="lth-explore"')[1:]:
            assert len(slider.partition("</script></div>")[0].encode()) < 1e6, name
