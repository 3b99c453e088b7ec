"""Convolutions on one thread: single layers, and whole networks' steps."""

from benchmarks.processes import Contender
from benchmarks.rivals import Crew, Rivals
from benchmarks.turns import Lineup, crossover, race, ratio, ratios

# Channels, and pixels a side: as much arithmetic in each.
SHAPES = {64: 32, 128: 16, 256: 8, 512: 4}
PERCENT = (30, 40, 50, 60, 70, 85)  # where the crossover is looked for
NETWORKS = {
    "conv2_r11": "conv2-11",
    "conv4_r12": "conv4-12",
    "conv6_r14": "conv6-14",
    "resnet20_12": "resnet20-12",
    "vgg19_7": "vgg19-7",
}


PEER = ("layer sparseprop over batch", "layer sparseprop over width")


def layers(rounds: int, rivals: Rivals) -> dict[str, float]:
    """A layer at 10 % against torch's and SparseProp's; where torch's is as fast."""
    found, over_peer, crossings = {}, [], {}
    with Crew(rivals) as crew:
        for channels, side in SHAPES.items():
            shape = f"{channels}x{side}"
            tenth = f"{shape}-10"
            times = race(_lineup(tenth) | _faster(tenth, crew), rounds, crew)
            found |= ratios(times, {f"conv_{channels}_10": ("torch", "ours")})
            over_peer += ratios(times, {"peer": ("peer", "ours")}).values()
            crossings[channels] = _crossover(shape, rounds, crew)
    where = ", ".join(f"{each:.2f} ({n} channels)" for n, each in crossings.items())
    print(f"A sparse convolution takes as long as torch's at {where}.", flush=True)
    found["conv_crossover"] = min(crossings.values())
    if over_peer:
        found["conv_over_sparseprop_10"] = min(over_peer)
    return found


def networks(rounds: int, rivals: Rivals) -> dict[str, float]:
    """Whole steps on pictures of 32x32 pixels, today's over ours."""
    found = {}
    for key, ticket in NETWORKS.items():
        what = (ticket, "colour-digits")
        lineup = {
            "ours": ("ours", Contender("ours", *what)),
            "today": ("today", Contender("today", *what)),
        }
        with Crew(rivals) as crew:  # a new one, for its memory
            found |= ratios(race(lineup, rounds, crew), {key: ("today", "ours")})
    return found


def _lineup(layer: str) -> Lineup:
    return {
        "torch": ("ours", Contender("layer torch", layer)),
        "ours": ("ours", Contender("layer ours", layer)),
    }


def _faster(layer: str, crew: Crew) -> Lineup:
    """Return SparseProp's faster variant for a layer; nothing where it is absent."""
    if (process := crew.get("peer")) is None:
        return {}
    both = [Contender(loop, layer) for loop in PEER]
    seconds = {each: min(process.seconds(each, 1) for _ in range(3)) for each in both}
    return {"peer": ("peer", min(both, key=lambda each: seconds[each]))}


def _crossover(shape: str, rounds: int, crew: Crew) -> float:
    """Return the density at which torch's and ours take as long."""
    times = {
        percent / 100: race(_lineup(f"{shape}-{percent}"), rounds, crew)
        for percent in PERCENT
    }
    return crossover({d: ratio(each, "torch", "ours") for d, each in times.items()})
