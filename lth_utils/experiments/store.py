"""Finished trainings in one folder, each under the name of what made it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lth_utils.errors import LotteryError
from lth_utils.experiments.jobs import Job, Result
from lth_utils.files.bundles import labelled, part, read_bundle, write_bundle
from lth_utils.files.places import check_writable, user_folder
from lth_utils.masks import Masks
from lth_utils.training.evaluation import Point, Training

_REMEDY = "; finished rounds are kept"


def runs_folder() -> Path:
    """Return the store's folder: LTH_RUNS, or one in the user's cache."""
    return user_folder("LTH_RUNS", "runs")


@dataclass(frozen=True)
class Store:
    """Finished trainings of one environment.

    A training's place is named by a hash of its job and its environment, so
    experiments and chapters share trainings, and a change of code, data or
    device finds none that no longer holds.

    Args:
        folder: The root.
        environment: What `environment.environment` returned.
    """

    folder: Path
    environment: Mapping[str, str]

    def place(self, job: Job) -> Path:
        """Return the job's folder, whether it is there or not."""
        return self.folder / job.key(self.environment)

    def has(self, job: Job) -> bool:
        """Whether the job is finished, with its curves if it asks for them.

        Raises:
            LotteryError: If it asks for them, and its place is damaged.
        """
        place = self.place(job)
        there = place.exists()
        if there and job.curves:
            there = bool(read_bundle(place, "training")[0].get("curves"))
        return there

    def write(self, job: Job, result: Result) -> None:
        """Keep a finished training, whole or not at all.

        It takes the place of one without its curves, and never that of one
        with them, which another process may have made meanwhile.

        Raises:
            LotteryError: If the disk refuses.
        """
        curves = Training(result.curve).whole
        if not curves and self.has(replace(job, curves=True)):
            return
        about = {
            "job": job.content(),
            "curves": curves,
            "environment": dict(self.environment),
            "init_seed": result.init_seed,
            "seconds": result.seconds,
            "curve": result.curve,
        }
        tensors = labelled("mask", result.masks) | labelled("weights", result.weights)
        write_bundle(self.place(job), "training", about, tensors, _REMEDY)

    def read(self, job: Job) -> Result:
        """Return a finished training.

        Raises:
            LotteryError: If it is damaged or something else.
        """
        place = self.place(job)
        page, tensors = read_bundle(place, "training")
        if page.get("job") != job.content():
            raise LotteryError(
                f"{place} holds another training than its name says: expected"
                f" {job.arm}, seed {job.seed}, round {job.round}. Delete it."
            )
        return Result(
            masks=Masks(part("mask", tensors)),
            init_seed=page["init_seed"],
            curve=[Point(*point) for point in page["curve"]],
            weights=part("weights", tensors),
            seconds=page["seconds"],
        )

    def check_writable(self) -> None:
        """Find out before any training whether results can be kept.

        Raises:
            LotteryError: If the folder cannot be written.
        """
        check_writable(self.folder, ", or set LTH_RUNS to another")
