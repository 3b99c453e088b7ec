"""Write every figure of the executed chapters to a file: SVG, and PNG.

    python book/export_figures.py

They lie in _build/figures/CHAPTER/NAME, and _build/figures/index.csv lists them. Of a
slider it is the picture at its middle stop. Drawings become PNG in Chromium.
"""

import base64
import csv
import io
import shutil
import sys
from pathlib import Path

from browser import chromium
from PIL import Image
from steps import ROOT, step

sys.path.insert(0, str(ROOT / "book" / "ext"))

import executed
from chapter_figures import PNG, SVG, Figure, figures

from lth_utils.cli import print_anywhere
from lth_utils.errors import LotteryError
from lth_utils.files.places import check_writable

COLUMNS = ("chapter", "name", "source", "drawn", "svg", "png", "caption", "alt")
SCALE = 2  # pixels of a PNG for each of a page's


def export(root: Path = ROOT) -> Path:
    """Write all figures, and their index.

    Returns:
        The index: a row a figure. `source` is "live", "recorded" or both, as its
        caption has it; `drawn` says whether it is made of lines or of pixels.

    Raises:
        LotteryError: If a chapter was not run, before anything is written; or, after
            all else was written, if there is no Chromium to draw the PNGs.
    """
    chapters = executed.chapters(root)
    executed.check(root, chapters)
    folder = root / "_build" / "figures"
    check_writable(folder)
    found = [figure for name in chapters for figure in figures(root, name)]
    shutil.rmtree(folder, ignore_errors=True)  # figures that are no more
    rows, drawings = [], []
    for figure in found:
        _write(figure, folder)
        lines = figure.kind == SVG
        drawings += [figure] if lines else []
        names = [f"{figure.address}.svg", f"{figure.address}.png"]
        told = (figure.source, "lines" if lines else "pixels", *names)
        said = (figure.caption, figure.alt)
        rows.append((figure.chapter, figure.name, *told, *said))
    index = folder / "index.csv"
    with index.open("w", newline="", encoding="utf-8-sig") as file:  # Excel reads it
        csv.writer(file).writerows([COLUMNS, *rows])
    try:
        _draw(drawings, folder)
    except LotteryError as error:
        raise LotteryError(
            f"All SVG files are in _build/figures, but {len(drawings)} of them could"
            f" not be drawn as PNG. {error}"
        ) from error
    return index


def _write(figure: Figure, folder: Path) -> None:
    """Write the files that need no browser."""
    svg = folder / f"{figure.address}.svg"
    svg.parent.mkdir(parents=True, exist_ok=True)
    if figure.kind == SVG:
        svg.write_bytes(figure.picture)
        return
    image = Image.open(io.BytesIO(figure.picture))
    target = io.BytesIO()
    image.save(target, "png")
    pixels = figure.picture if figure.kind == PNG else target.getvalue()
    svg.with_suffix(".png").write_bytes(pixels)
    # A picture of pixels stays one; the frame lets an SVG editor open it.
    held = base64.b64encode(pixels).decode()
    width, height = image.size
    svg.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<image width="{width}" height="{height}" href="data:{PNG};base64,{held}"/>'
        "</svg>\n",
        "utf8",
    )


def _draw(drawings: list[Figure], folder: Path) -> None:
    """Write the PNG of what is made of lines."""
    if not drawings:
        return
    with chromium() as browser:
        page = browser.new_page(device_scale_factor=SCALE)
        for figure in drawings:
            held = base64.b64encode(figure.picture).decode()
            source = f"data:{SVG};base64,{held}"
            page.set_content(f'<img style="display:block" src="{source}">')
            image = page.locator("img")
            image.evaluate("image => image.decode()")
            image.screenshot(path=folder / f"{figure.address}.png")


def main(root: Path = ROOT) -> int:
    print_anywhere()
    try:
        with step("Writing the figures into _build/figures: a minute"):
            index = export(root)
    except LotteryError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"They are listed in {index}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
