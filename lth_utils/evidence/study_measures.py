"""What a claim measures of a study's parts: pruning rates, and networks' widths."""

from __future__ import annotations

from itertools import combinations
from math import log
from typing import TYPE_CHECKING

from lth_utils.evidence.sides import Measured, gap, of_part, side

if TYPE_CHECKING:
    import pandas as pd

    from lth_utils.experiments.ledger import Claim

HELD = 0.3  # points below a level that still hold it
RANGE = (9_000, 15_000)  # the weights that figure 31 speaks of
LEAVES = 0.8  # what a pruning round leaves of the weights: the grain of all sizes


def better_at_equal_size(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many points one part is more accurate at a density of the other.

    At the last one that the first part reaches too, give or take a twentieth, and
    there read straight between two of its rounds.
    """
    import numpy as np
    import pandas as pd

    mine, theirs = (
        rows[(rows["arm"] == arm) & rows["round"].isin(claim.rounds)]
        for rows, arm in (of_part(stops, word) for word in (claim.one, claim.other))
    )
    there = theirs["density"]
    at = there[there >= 0.95 * mine["density"].min()].min()
    read = {
        seed: np.interp(log(at), np.log(rows["density"]), rows["test"])
        for seed, rows in mine.sort_values("density").groupby("seed")
    }
    other = theirs[there == at].set_index("seed")["test"]
    return Measured(100 * (pd.Series(read) - other).dropna())


def size(width: str) -> int:
    """Return the weights of a LeNet by its hidden layers, such as "300-100"."""
    first, second = map(int, width.split("-"))
    return 784 * first + first * second + 10 * second


def fewest(stops: pd.DataFrame, arm: str, held: float = HELD) -> pd.DataFrame:
    """Return each seed's last round that holds its dense network's accuracy.

    The *validation* accuracy says which it is. What dips below and comes back has
    not fallen.

    Args:
        stops: What `early_stop` returned of a study of widths.
        arm: A width's, such as "25-8:ticket".
        held: How many points below the dense network still hold its level.

    Returns:
        A row a seed: the columns of `early_stop`; `weights`, their number there; and
        `fallen`, whether it has a later round, which then does not hold it.
    """
    rows, arm = of_part(stops, arm)
    line = rows[rows["arm"].isin([arm, "dense"])]
    dense = line[line["arm"] == "dense"].set_index("seed")["validation"]
    lead = 100 * (line["validation"] - line["seed"].map(dense))
    holds = line[lead.round(6) >= -held].sort_values("round")  # 15 images: 0.3 points
    last = holds.groupby("seed").tail(1).set_index("seed").sort_index()
    weights = (last["density"] * last["experiment"].map(size)).round()
    return last.assign(weights=weights, fallen=last["round"] < line["round"].max())


def _fewest(stops: pd.DataFrame, claim: Claim, arm: str = "") -> pd.DataFrame:
    """The same, of a claim's arm, among its rounds."""
    return fewest(stops[stops["round"].isin([0, *claim.rounds])], arm or claim.one)


def in_range(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many weights the fewest that hold are inside the paper's range.

    A round takes a fifth, so the true number lies between this one and four fifths
    of it; the range must touch these. It is too short if a seed's line ends above
    the range's lower end before it falls.
    """
    import pandas as pd

    found = _fewest(stops, claim)
    low, high = RANGE
    ends = [found["weights"] - low, high - LEAVES * found["weights"]]
    short = not found["fallen"].all() and found["weights"].mean() > low
    return Measured(pd.concat(ends, axis=1).min(axis=1), bool(short))


def same_size(stops: pd.DataFrame, claim: Claim) -> Measured:
    """How many weights are to spare until two widths' fewest differ too much.

    The largest may be 15/9 of the smallest, as the ends of the paper's range are. Only
    widths of which all seeds' lines fall can be asked; if these do not differ too
    much and others have not fallen, it is too short.
    """
    found = {
        part: _fewest(stops, claim, f"{part}:{claim.one}")
        for part in stops["experiment"].unique()
    }
    fallen = [each["weights"] for each in found.values() if each["fallen"].all()]
    asked = sorted(
        fallen or [each["weights"] for each in found.values()],
        key=lambda weights: weights.mean(),
    )
    room = RANGE[1] / RANGE[0] * asked[0] - asked[-1]
    short = len(fallen) < len(found) and (len(fallen) < 2 or room.mean() > 0)
    return Measured(room, bool(short))


def better_at_fewest(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many points of test accuracy the fewest that hold are ahead of dense."""
    test = _fewest(stops, claim)["test"]
    return Measured(100 * (test - side(stops, claim.other, 0)))


def wide_beats_narrow(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many points tickets of wider networks beat narrower dense networks.

    A ticket is that of the first round with no more weights than the dense network
    has. Of all pairs of widths, the one that agrees least counts.
    """
    import pandas as pd

    gaps = []
    widths = sorted(stops["experiment"].unique(), key=size)
    for narrow, wide in combinations(widths, 2):
        weights = (stops["density"] * size(wide)).round()
        small = stops["experiment"].eq(wide) & weights.le(size(narrow))
        round = stops.loc[small & stops["arm"].eq(claim.one), "round"].min()
        both = f"{wide}:{claim.one}", f"{narrow}:{claim.other}"
        gaps.append(gap(stops, *both, round))
    return Measured(pd.concat(gaps, axis=1).min(axis=1))
