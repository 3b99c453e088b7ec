"""A slider in a live notebook: widgets that call the reader's function.

Only what ipywidgets 7.7 and 8 both have is used: Colab ships the former.
"""

from collections.abc import Callable, Sequence
from typing import Any

from lth_utils.figures.glue import shell
from lth_utils.figures.slider import Axis, Frame, captions, named, picture, style

_VIEW = "application/vnd.jupyter.widget-view+json"


def widgets() -> Any:
    """Return ipywidgets where a notebook's kernel runs and has them."""
    if shell() is None:
        return None
    try:
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets


class LiveSlider:
    """Sliders, a play button and a picture that is drawn when they move.

    A saved notebook holds its first picture too, for where no kernel runs.
    """

    def __init__(
        self, kit: Any, axes: Sequence[Axis], draw: Callable[[Sequence[int]], Frame]
    ) -> None:
        """Take ipywidgets, the lists, and what draws a position.

        Args:
            kit: What `widgets()` returned.
            axes: One list or two.
            draw: Takes a place in each list.
        """
        self.axes = axes
        self.draw = draw
        self.sliders = [_slider(kit, axis) for axis in axes]
        self.picture = kit.HTML()
        self.said = kit.Output()  # what the function prints, or its error
        self.play = kit.Play(
            max=len(axes[0].labels) - 1, interval=1000, show_repeat=False
        )
        kit.link((self.play, "value"), (self.sliders[0], "index"))
        for slider in self.sliders:
            slider.observe(lambda _: self._move(), names="index")
        self.box = kit.VBox([self.play, *self.sliders, self.picture, self.said])
        self.picture.value = self._seen()

    def __repr__(self) -> str:
        """Name what text alone cannot show."""
        return f"A slider of pictures. {named(self.axes)}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widgets, and what stands in for them without a kernel."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        where = "; ".join(
            f"{axis.title}: {axis.labels[slider.index]}"
            for axis, slider in zip(self.axes, self.sliders, strict=True)
        )
        still = f"<p>{where}. Run this cell to move the slider.</p>{self.picture.value}"
        return {"text/plain": repr(self), "text/html": still, _VIEW: view}

    def _move(self) -> None:
        self.said.clear_output()
        with self.said:
            self.picture.value = self._seen()

    def _seen(self) -> str:
        frame = self.draw([slider.index for slider in self.sliders])
        content = picture(frame) + captions([frame])
        return f'<div class="lth-explore"><style>{style()}</style>{content}</div>'


def _slider(kit: Any, axis: Axis) -> Any:
    return kit.SelectionSlider(
        options=[(label, place) for place, label in enumerate(axis.labels)],
        description=axis.title,
        continuous_update=False,
        style={"description_width": "initial"},
        layout={"width": "36rem", "max_width": "100%"},
    )
