"""The ticket lab: what is stored is what was trained, and JavaScript computes it."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch

import lth_utils as lth
from lth_utils.figures.lab import make_lab, page, stored
from lth_utils.figures.lab.payload import ARMS, BROKEN

TOLD, ARRAYS = stored.read()
KNOWN = {each["name"]: each for each in TOLD["networks"]}
ROUNDS = (*make_lab.RECORDED, *make_lab.BEYOND)
SOME = ("dense-0", "ticket-7", "reinit-7", "random-11", "ticket-20", "random-26")
IMAGES = 1_000


@cache
def fragment() -> str:
    return lth.TicketLab()._repr_html_()


@cache
def built(name: str) -> torch.nn.Module:
    """Return a stored network as PyTorch runs it."""
    weights, masks = stored.network(ARRAYS, name)
    net = lth.masked(lth.LeNet(seed=0))
    lth.rewind(net, weights, masks)
    return net


def answers(name: str, count: int = IMAGES) -> np.ndarray:
    """Return PyTorch's probabilities for the first test images."""
    data = lth.load("mnist-small")
    images = data.test.images[:count].float()
    with torch.no_grad():
        scaled = (images - TOLD["mean"]) / TOLD["std"]
        return built(name)(scaled).softmax(dim=1).numpy()


# What is stored


def test_every_arm_is_there_at_every_density():
    assert set(KNOWN) == {"dense-0"} | {f"{a}-{r}" for r in ROUNDS for a in ARMS[1:]}
    assert len(make_lab.RECORDED) >= 8


@pytest.mark.parametrize("round", make_lab.RECORDED)
def test_the_masks_are_the_records_tickets_and_their_controls(round):
    ticket = lth.recorded_tickets("lenet-mnist", "paper", round)[0]
    shuffled = lth.random_masks(ticket.masks, ticket.seed, round, 0)
    for arm, masks in (("ticket", ticket.masks), ("random", shuffled)):
        assert stored.network(ARRAYS, f"{arm}-{round}")[1] == masks
    assert stored.network(ARRAYS, f"reinit-{round}")[1] == ticket.masks


def test_beyond_the_record_the_ladder_goes_on():
    rates, last = lth.PRUNING["lenet"].rates, make_lab.BEYOND[-1]
    ladder = lth.densities(lth.masked(lth.LeNet(seed=0)), rates, "layer-wise", last)
    before = lth.recorded_tickets("lenet-mnist", "paper", 20)[0].masks
    for round in make_lab.BEYOND:
        masks = stored.network(ARRAYS, f"ticket-{round}")[1]
        assert masks.density == pytest.approx(ladder[round])
        assert all((mask <= before[name]).all() for name, mask in masks.items())
        random = stored.network(ARRAYS, f"random-{round}")[1]
        assert random.counts() == masks.counts()
        assert random == lth.random_masks(masks, 0, round, 0)
        before = masks


def test_a_pruned_weight_is_zero_and_the_others_are_a_byte_each():
    for name in SOME:
        weights, masks = stored.network(ARRAYS, name)
        for layer, mask in masks.items():
            assert not weights[layer][~mask].any()
            scale = ARRAYS[f"{name}/{layer.removesuffix('.weight')}/scale"]
            steps = weights[layer][mask] / float(scale)
            assert (steps - steps.round()).abs().max() < 1e-3
            assert steps.abs().max().round() == 127


def test_rounding_moves_no_weight_by_more_than_half_a_step():
    net = lth.masked(lth.LeNet(seed=3))
    masks = lth.prune(net, 0.5)
    lth.apply_masks(net, masks)
    before = lth.snapshot(net)
    arrays = stored.quantised("ticket-9", before, masks)
    after, found = stored.network(arrays, "ticket-9")
    assert found == masks
    for name, weight in before.items():
        moved = (after[name] - weight).abs().max()
        half = weight.abs().max() / 254 if name in masks else 0
        assert moved <= half * 1.001


@pytest.mark.parametrize("name", SOME)
def test_provenance_says_what_the_stored_network_does(name):
    told, masks = KNOWN[name], stored.network(ARRAYS, name)[1]
    assert told["density"] == masks.density
    assert told["alive"] == masks.counts()
    accuracy = lth.evaluate(built(name), lth.load("mnist-small"))[1]
    # the packaged subset has a mean and a deviation of its own
    assert accuracy == pytest.approx(told["test_stored"], abs=1e-3)
    labels = lth.load("mnist-small").test.labels.numpy()
    right = answers(name, 10_000).argmax(axis=1) == labels
    assert right.mean() == pytest.approx(told["test_stored"], abs=2e-4)


def test_rounding_hardly_changes_an_answer():
    for each in TOLD["networks"]:
        # Where most answers are wrong, ten probabilities lie near each other.
        least = 0.995 if each["test"] > 0.95 else 0.99 if each["test"] > 0.9 else 0.95
        assert each["same_class"] >= least, each["name"]
        assert abs(each["test"] - each["test_stored"]) < 0.004, each["name"]


def test_trained_anew_they_are_near_the_record():
    found = lth.early_stop(lth.recorded("lenet-mnist", "paper"))
    mine = found[found["seed"].eq(0) & found["control"].eq(0)]
    near = {f"{row.arm}-{row.round}": row.test for row in mine.itertuples()}
    both = set(near) & set(KNOWN)
    assert len(both) > 15
    assert all(abs(near[name] - KNOWN[name]["test"]) < 0.01 for name in both)


def test_both_break_within_the_slider_the_random_mask_first():
    least = KNOWN["dense-0"]["test_stored"] - BROKEN
    broken = {
        arm: [r for r in ROUNDS if KNOWN[f"{arm}-{r}"]["test_stored"] < least]
        for arm in ("ticket", "random")
    }
    first = {arm: min(rounds) for arm, rounds in broken.items()}
    assert ROUNDS[0] < first["random"] < first["ticket"] <= ROUNDS[-1]
    for arm, rounds in broken.items():  # once broken, always broken
        assert rounds == [r for r in ROUNDS if r >= first[arm]]


@pytest.mark.parametrize("harm", ["none", "cut", "page"])
def test_missing_or_damaged_networks_are_a_sentence(monkeypatch, tmp_path, harm):
    if harm != "none":
        shutil.copytree(stored.folder(), tmp_path, dirs_exist_ok=True)
    if harm == "cut":
        place = tmp_path / stored.NETWORKS
        place.write_bytes(place.read_bytes()[:-1])
    if harm == "page":
        (tmp_path / "provenance.json").write_text("[]")
    monkeypatch.setattr(stored, "folder", lambda: tmp_path)
    with pytest.raises(lth.LotteryError, match="networks cannot be read: expected"):
        lth.TicketLab()


# The fragment


def test_another_process_makes_the_same_bytes():
    program = "import lth_utils as lth; print(lth.TicketLab()._repr_html_())"
    other = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert other.strip() == fragment()


def test_it_is_small_and_holds_all_that_it_needs():
    text = fragment()
    assert len(text.encode()) < 2.9e6
    assert not re.search(r"https?://|fetch\(|src=|@import|url\(", text)
    assert text.count("</script>") == 2
    assert re.match(r'<div class="lth-lab" id="lth-lab-[0-9a-f]{12}">', text)
    assert "import {" not in text


def test_without_scripts_it_shows_the_accuracies():
    text = fragment()
    for name, each in KNOWN.items():
        told = f"{100 * each['test_stored']:.2f} ({100 * each['test']:.2f})"
        assert told in text, name
    assert "needs JavaScript" in text


def test_in_a_terminal_it_says_what_it_is():
    assert repr(lth.TicketLab()).startswith("A lab of networks that read digits.")


# The arithmetic, in node

PROGRAM = """
import { readFileSync, writeFileSync } from "node:fs";
import * as networks from "./networks.mjs";
const lab = await networks.opened(JSON.parse(readFileSync("payload.json", "utf8")));
const images = readFileSync("images.bin");
const grey = (n) => n / 255;
const pictures = [];
for (let i = 0; i < images.length / 784; i++)
  pictures.push(Float32Array.from(images.subarray(784 * i, 784 * i + 784), grey));
const found = {};
for (const name of JSON.parse(readFileSync("names.json", "utf8"))) {
  const layers = networks.network(lab, name);
  found[name] = {
    probabilities: pictures.map((each) => networks.probabilities(lab, layers, each)),
    counts: networks.counts(layers),
    reach: [...networks.reach(layers)],
  };
}
const canvas = () => new Float32Array(784);
const dot = canvas(); networks.stroke(dot, [3.5, 5.5], [3.5, 5.5]);
const line = canvas(); networks.stroke(line, [4, 4], [4, 23]);
const edge = canvas(); networks.stroke(edge, [-3, 30], [40, -2]);
found.drawn = {
  dot: [...dot], line: [...line], edge: [...edge],
  centred: [...networks.centred(line)], dotted: [...networks.centred(dot)],
  empty: networks.centred(canvas()),
  again: pictures.slice(0, 100).map((each) => [...networks.centred(each)]),
};
writeFileSync("found.json", JSON.stringify(found));
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    """Return what node computes of 1,000 test images, and of some drawings."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("No node here: its arithmetic is tested in Chromium alone.")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(page.HERE / "networks.js", folder / "networks.mjs")
    (folder / "payload.json").write_text(json.dumps(lth.TicketLab().payload))
    (folder / "names.json").write_text(json.dumps(SOME))
    images = lth.load("mnist-small").test.images[:IMAGES]
    (folder / "images.bin").write_bytes(images.numpy().tobytes())
    (folder / "run.mjs").write_text(PROGRAM)
    done = subprocess.run([node, "run.mjs"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("name", SOME)
def test_node_computes_what_pytorch_does(found, name):
    mine, theirs = np.array(found[name]["probabilities"]), answers(name)
    assert mine.shape == theirs.shape == (IMAGES, 10)
    assert (mine.argmax(axis=1) == theirs.argmax(axis=1)).mean() >= 0.995
    assert np.abs(mine - theirs).max() < 1e-3  # at most 0.02 is asked for


@pytest.mark.parametrize("name", SOME)
def test_node_counts_what_is_there(found, name):
    masks = stored.network(ARRAYS, name)[1]
    counts = found[name]["counts"]
    held = sum(
        ARRAYS[f"{name}/{layer}/{what}"].nbytes
        for layer in stored.LAYERS
        for what in ("values", "bias")
    )
    if structure := stored.masks_of(name):
        held += sum(
            ARRAYS[f"{structure}/{layer}/mask"].nbytes for layer in stored.LAYERS
        )
    assert counts == {
        "weights": masks.remaining,
        "bytes": held,
        "multiplications": masks.remaining,
    }
    assert found[name]["reach"] == masks["fc1.weight"].sum(dim=0).tolist()


def picture(numbers: list[float]) -> np.ndarray:
    return np.array(numbers).reshape(28, 28)


def test_the_pen_is_round_and_soft(found):
    dot = picture(found["drawn"]["dot"])  # at the middle of column 3, row 5
    assert dot[5, 3] == 1
    assert 0 < dot[4, 3] == dot[6, 3] == dot[5, 2] == dot[5, 4] < 1
    assert 5 <= (dot > 0).sum() <= 21
    edge = picture(found["drawn"]["edge"])
    assert edge.max() <= 1
    assert edge.min() >= 0


def test_a_drawing_is_centred_and_scaled_as_mnists_digits_are(found):
    line = picture(found["drawn"]["centred"])
    rows = np.flatnonzero(line.sum(axis=1))
    assert rows[-1] - rows[0] + 1 == 20
    for axis in (0, 1):
        mass = line.sum(axis=axis)
        assert abs((mass * np.arange(28)).sum() / mass.sum() - 14) <= 0.5
    dot = picture(found["drawn"]["dotted"])
    assert 18 <= len(np.flatnonzero(dot.sum(axis=1))) <= 20
    assert found["drawn"]["empty"] is None


def test_mnists_own_digits_stay_almost_what_they_are(found):
    """They are 20 pixels long and centred: to do that again changes little."""
    again = np.array(found["drawn"]["again"]).reshape(-1, 28, 28)
    images = lth.load("mnist-small").test.images[:100, 0].numpy() / 255
    apart = np.abs(again - images).mean(axis=(1, 2))
    assert np.median(apart) < 1e-6  # they come back as they were
