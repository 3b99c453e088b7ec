"""The plans of sections 3 to 5: the paper's numbers, and what a key and a record hold.

The numbers are those of the paper's Figure 2 and of its section 4 and 5, by hand.
"""

import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch
from helpers import lay_pictures, tiny_experiment

import lth_utils as lth
from lth_utils import EXPERIMENTS, Experiment, LotteryError, Recipe, Study
from lth_utils.experiments import records
from lth_utils.experiments.jobs import Job, jobs_of, with_ancestors
from lth_utils.experiments.perform import perform
from lth_utils.experiments.store import Store
from lth_utils.words import DROPPING, NETWORKS, TAKES

PROFILES = ("quick", "laptop", "paper")
CONVS = ("conv2", "conv4", "conv6")
DEEP = ("resnet20", "vgg19")
STUDIES = (*DEEP, *(f"{word}-dropout" for word in CONVS))
SHORT = Recipe(iterations=4, evaluate_every=2, batch_size=8)


def plan(name: str, profile: str = "paper"):
    return lth.experiment(name, profile)


# --- the paper's numbers ----------------------------------------------------------

ADAM = {"optimizer": "adam", "batch_size": 60, "evaluate_every": 100}


@pytest.mark.parametrize(
    ("name", "lr", "iterations", "conv"),
    [
        ("conv2", 2e-4, 20_000, 0.1),
        ("conv4", 3e-4, 25_000, 0.1),
        ("conv6", 3e-4, 30_000, 0.15),
    ],
)
def test_section_3(name, lr, iterations, conv):
    paper = plan(name)
    assert (paper.network, paper.data) == (name, "cifar10")
    assert paper.recipe == Recipe(lr, iterations, **ADAM)
    assert asdict(paper.pruning) == {
        "conv": conv,
        "fc": 0.2,
        "output": 0.1,
        "scope": "layer-wise",
    }
    assert len(paper.seeds) == 5
    assert paper.controls == {"reinit": 3}  # 15 in all
    assert paper.arms == ("dense", "ticket", "reinit", "random")


@pytest.mark.parametrize(
    ("name", "lr", "iterations", "plain"),
    [
        ("conv2", 3e-4, 60_000, 2e-4),
        ("conv4", 2e-4, 75_000, 3e-4),
        ("conv6", 2e-4, 90_000, 3e-4),
    ],
)
def test_section_4(name, lr, iterations, plain):
    without, dropped = plan(f"{name}-dropout").parts
    assert (without.name, dropped.name) == ("plain", "dropout")
    assert dropped.recipe == Recipe(lr, iterations, **ADAM, dropout=0.5)
    assert without.recipe == Recipe(plain, iterations // 3, **ADAM)
    assert without.recipe == plan(name).recipe
    for part in (without, dropped):
        assert part.arms == ("dense", "ticket")
        assert (part.pruning, part.rounds) == (plan(name).pruning, plan(name).rounds)


SGD = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "flip": True,
    "crop": 4,
    "evaluate_every": 100,
}
RESNET = {"iterations": 30_000, "batch_size": 128, "milestones": (20_000, 25_000)}
# Epochs 80 and 120 of 45,000 images, 64 a batch.
VGG = {"iterations": 112_000, "batch_size": 64, "milestones": (56_250, 84_375)}


@pytest.mark.parametrize(
    ("name", "schedule", "part", "lr", "warmup"),
    [
        ("resnet20", RESNET, "0.1", 0.1, 0),
        ("resnet20", RESNET, "0.01", 0.01, 0),
        ("resnet20", RESNET, "warmup", 0.03, 20_000),
        ("vgg19", VGG, "0.1", 0.1, 0),
        ("vgg19", VGG, "0.01", 0.01, 0),
        ("vgg19", VGG, "warmup", 0.1, 10_000),
    ],
)
def test_section_5(name, schedule, part, lr, warmup):
    (found,) = (each for each in plan(name).parts if each.name == part)
    assert (found.network, found.data) == (name, "cifar10")
    assert found.recipe == Recipe(lr, warmup=warmup, **schedule, **SGD)
    assert asdict(found.pruning) == {
        "conv": 0.2,
        "fc": 0.0,
        "output": 0.0,
        "scope": "global",
    }
    assert found.arms == ("dense", "ticket", "reinit")
    assert len(found.seeds) == 5


def test_the_rates_of_figure_8():
    warm = plan("resnet20").parts[-1].recipe
    rates = {at: warm.rate(at) for at in (1, 10_000, 20_000, 20_001, 25_001, 30_000)}
    assert list(rates.values()) == pytest.approx(
        [0.03 / 20_000, 0.015, 0.03, 0.003, 0.0003, 0.0003]
    )


# Rounds of the controls, and the per cent of weights that are then left.
LADDERS = {
    "conv2": {3: 51.4, 6: 26.5, 9: 13.7, 11: 8.8, 14: 4.6, 17: 2.4},
    "conv4": {3: 53.6, 7: 23.9, 11: 11.1, 12: 9.2, 15: 5.4, 21: 2.0},
    "conv6": {3: 56.4, 7: 26.6, 10: 15.3, 13: 8.9, 17: 4.3, 21: 2.1},
    "resnet20": {4: 41.7, 6: 27.1, 7: 21.9, 10: 11.8},
    "vgg19": {8: 16.8, 12: 6.9, 15: 3.5, 19: 1.5},
}


@pytest.mark.parametrize("name", LADDERS)
@pytest.mark.parametrize("profile", ["laptop", "paper"])
def test_controls_are_at_the_papers_densities(name, profile):
    net = lth.masked(lth.network(name))
    for part in plan(name, profile).parts:
        assert part.control_rounds == tuple(LADDERS[name])
        assert part.rounds == part.control_rounds[-1]
        pruning = part.pruning
        found = lth.densities(net, pruning.rates, pruning.scope, part.rounds)
        for round, per_cent in LADDERS[name].items():
            assert 100 * found[round] == pytest.approx(per_cent, abs=0.06)


# --- three profiles ---------------------------------------------------------------


# What the book trains live of the residual network is a study of its own.
LIKE_THE_PAPERS = [each for each in (*CONVS, *STUDIES) if each != "resnet20"]


@pytest.mark.parametrize("name", LIKE_THE_PAPERS)
def test_three_profiles_have_the_same_parts(name):
    assert tuple(EXPERIMENTS[name]) == PROFILES
    plans = [plan(name, profile) for profile in PROFILES]
    assert len({tuple(part.name for part in each.parts) for each in plans}) == 1
    for parts in zip(*(each.parts for each in plans), strict=True):
        quick, laptop, paper = (part.recipe for part in parts)
        assert quick.iterations < laptop.iterations < paper.iterations
        assert len({part.arms for part in parts}) == 1
        pruned = parts[1:] if name.startswith("conv") else parts  # see below
        assert len({part.pruning for part in pruned}) == 1
        assert parts[0].network == f"{parts[1].network}-narrow"
        assert [part.data for part in parts] == ["colour-digits", "cifar10", "cifar10"]
        same = ("optimizer", "momentum", "weight_decay", "dropout")
        for word in same:
            assert len({getattr(r, word) for r in (quick, laptop, paper)}) == 1
        assert laptop.lr == paper.lr


@pytest.mark.parametrize("name", CONVS)
def test_the_live_convolutions_prune_eleven_rounds_in_six(name):
    short, paper = plan(name, "quick"), plan(name)
    for kind, rate in paper.pruning.rates.items():
        left = (1 - short.pruning.rates[kind]) ** short.rounds
        assert left == pytest.approx((1 - rate) ** 11)
    assert short.pruning.scope == paper.pruning.scope
    assert (short.rounds, short.control_rounds) == (6, (4, 6))
    assert short.recipe == Recipe(1e-3, 200, evaluate_every=40)
    assert short.arms == paper.arms


def test_the_live_conv2_has_its_controls_at_a_fifth_and_an_eleventh():
    short = plan("conv2", "quick")
    net = lth.masked(lth.network(short.network))
    found = lth.densities(net, short.pruning.rates, short.pruning.scope, short.rounds)
    per_cent = [100 * found[round] for round in short.control_rounds]
    assert per_cent == pytest.approx([19.8, 8.9], abs=0.06)


@pytest.mark.parametrize("name", CONVS)
def test_the_quick_dropout_prunes_four_rounds_at_once(name):
    short, whole = (plan(f"{name}-dropout", size).parts[0] for size in PROFILES[:2])
    for kind, rate in whole.pruning.rates.items():
        assert 1 - short.pruning.rates[kind] == pytest.approx((1 - rate) ** 4)
    assert short.rounds == 2


@pytest.mark.parametrize("name", CONVS)
def test_the_quick_dropout_is_short_and_seldom_evaluated(name):
    without, dropped = (part.recipe for part in plan(f"{name}-dropout", "quick").parts)
    assert (without.iterations, without.evaluate_every) == (180, 60)
    assert (dropped.iterations, dropped.evaluate_every) == (540, 180)
    assert dropped.lr == without.lr == plan(name, "quick").recipe.lr


@pytest.mark.parametrize("name", CONVS)
def test_the_laptops_dropout_is_three_times_its_plain_part(name):
    without, dropped = (part.recipe for part in plan(f"{name}-dropout", "laptop").parts)
    assert without == plan(name, "laptop").recipe
    assert dropped.iterations == 3 * without.iterations
    assert dropped.evaluate_every == without.evaluate_every == 100


def test_the_laptops_resnet_has_the_papers_parts():
    for laptop, paper in zip(
        plan("resnet20", "laptop").parts, plan("resnet20").parts, strict=True
    ):
        assert (laptop.name, laptop.network) == (paper.name, "resnet20")
        assert (laptop.arms, laptop.pruning) == (paper.arms, paper.pruning)
        assert (laptop.data, laptop.rounds) == ("cifar10", paper.rounds)
        assert laptop.recipe.iterations == 1000
        assert laptop.recipe.lr == paper.recipe.lr


def test_the_live_resnet_prunes_six_rounds_at_once_and_only_warm_up_differs():
    steady, warm = plan("resnet20", "quick").parts
    assert (steady.name, warm.name) == ("0.1", "warmup")
    assert replace(warm.recipe, warmup=0) == steady.recipe
    paper = plan("resnet20").parts[0]
    share = steady.recipe.iterations / paper.recipe.iterations
    assert warm.recipe.warmup == round(20_000 * share)
    assert steady.recipe.milestones == tuple(
        round(share * at) for at in paper.recipe.milestones
    )
    for word in ("lr", "optimizer", "momentum", "weight_decay"):
        assert getattr(steady.recipe, word) == getattr(paper.recipe, word)
    for part in (steady, warm):
        assert (part.network, part.data) == ("resnet8-narrow", "colour-digits")
        assert part.arms == paper.arms
        assert part.pruning.scope == "global"
        assert 1 - part.pruning.conv == pytest.approx(0.8**6)
        assert (part.rounds, part.control_rounds) == (1, (1,))
        assert part.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("name", "profile"),
    [("resnet20", "laptop"), ("vgg19", "quick"), ("vgg19", "laptop")],
)
def test_a_shorter_schedule_is_the_papers_in_the_same_proportions(name, profile):
    for short, paper in zip(plan(name, profile).parts, plan(name).parts, strict=True):
        mine, its = short.recipe, paper.recipe
        share = mine.iterations / its.iterations
        assert mine.lr == its.lr
        assert mine.warmup == pytest.approx(share * its.warmup, abs=0.5)
        expected = [share * at for at in its.milestones]
        assert mine.milestones == pytest.approx(expected, abs=0.5)
        assert (mine.flip, mine.crop) == (
            (True, 4) if profile == "laptop" else (False, 0)
        )


def test_digits_are_not_mirrored():
    for name in STUDIES:
        for part in plan(name, "quick").parts:
            assert not part.recipe.flip
            assert part.recipe.crop == 0


@pytest.fixture
def pets(tmp_path, monkeypatch) -> str:
    """The word of a data set of few pictures: to evaluate all digits takes seconds."""
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    return lay_pictures(tmp_path / "pets", train=40).name


# --- keys -------------------------------------------------------------------------

CHANGES = {
    "warmup": 3,
    "milestones": (3,),
    "dropout": 0.5,
    "flip": True,
    "crop": 4,
    "weight_decay": 1e-4,
    "momentum": 0.9,
}


def dense_conv2(recipe: Recipe) -> Experiment:
    return tiny_experiment(
        network="conv2-narrow",
        data="colour-digits",
        arms=("dense",),
        control_rounds=None,
        rounds=0,
        recipe=recipe,
    )


def conv2_job(**changes: object) -> Job:
    sgd = replace(SHORT, optimizer="sgd")
    return jobs_of(dense_conv2(replace(sgd, **changes)))[0]  # type: ignore[arg-type]


def test_every_field_of_a_recipe_is_in_the_key():
    jobs = [conv2_job(), *(conv2_job(**{name: v}) for name, v in CHANGES.items())]
    assert len({job.key({}) for job in jobs}) == len(jobs)
    assert len(set(jobs)) == len(jobs)
    assert set(jobs[0].content()["recipe"]) == {each.name for each in fields(Recipe)}


def test_the_same_numbers_in_other_words_are_the_same_key():
    one = conv2_job(warmup=2, milestones=(2, 3), crop=1, dropout=0.5)
    other = conv2_job(
        warmup=np.int64(2), milestones=[3, np.int32(2)], crop=np.int8(1), dropout=0.5
    )
    assert one == other
    assert one.key({}) == other.key({})


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", [*CONVS, *STUDIES])
def test_a_job_comes_back_from_json(name, profile):
    jobs = jobs_of(plan(name, profile))
    for job in with_ancestors(jobs[:: max(1, len(jobs) // 20)]):
        again = Job.from_json(json.loads(json.dumps(asdict(job))))
        assert again == job
        assert hash(again) == hash(job)
        assert again.key({"a": "b"}) == job.key({"a": "b"})
        assert again.content() == job.content()
        assert json.loads(json.dumps(job.content())) == job.content()
        parent = job.parent()
        assert parent is None or parent.recipe == job.recipe


def test_a_finished_training_with_a_schedule_is_found_again(tmp_path, pets):
    job = replace(conv2_job(warmup=2, milestones=(3,), dropout=0.5, crop=1), data=pets)
    (result,) = perform([job], [None], torch.device("cpu"))
    store = Store(tmp_path, {"code": "1"})
    store.write(job, result)
    assert store.read(job).curve == result.curve


def test_a_runs_workers_take_schedules(tmp_path, pets, monkeypatch):
    """Recipes go to them as JSON, and their results come back."""
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    recipe = replace(SHORT, warmup=2, milestones=(2, 3), dropout=0.5, flip=True, crop=2)
    tiny = tiny_experiment(
        network="conv2-narrow",
        data=pets,
        arms=("dense", "ticket"),
        control_rounds=None,
        rounds=1,
        recipe=recipe,
        pruning=plan("conv2").pruning,
    )
    table = lth.run(tiny, workers=1)
    data = lth.load(pets)

    def loss(recipe: Recipe) -> float:
        net = lth.masked(lth.network("conv2-narrow", 0))
        return lth.train(net, data, recipe, 0, 0, "cpu").at(4, "validation").loss

    dense = table.query("arm == 'dense' and split == 'validation' and iteration == 4")
    near = pytest.approx(dense["loss"].item(), rel=1e-6)  # a worker has one thread
    assert loss(recipe) == near
    for other in ({"warmup": 0}, {"milestones": ()}, {"dropout": 0}, {"flip": False}):
        assert loss(replace(recipe, **other)) != near


# --- records ----------------------------------------------------------------------


def test_a_record_says_how_the_rate_went_and_what_was_left_out(
    tmp_path, pets, monkeypatch
):
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    recipe = replace(
        SHORT,
        optimizer="sgd",
        momentum=0.9,
        weight_decay=1e-4,
        warmup=2,
        milestones=(2, 3),
        dropout=0.25,
        flip=True,
        crop=2,
    )
    tiny = replace(dense_conv2(recipe), data=pets)
    study = Study("tiny", "quick", (tiny, replace(tiny, name="b", recipe=SHORT)))
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": study})
    folder = lth.record("tiny", "quick")
    page = json.loads((folder / records.PROVENANCE).read_text())
    one, other = (part["recipe"] for part in page["experiment"]["parts"])
    assert one == {
        "lr": 1.2e-3,
        "iterations": 4,
        "optimizer": "sgd",
        "batch_size": 8,
        "evaluate_every": 2,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "warmup": 2,
        "milestones": [2, 3],
        "dropout": 0.25,
        "flip": True,
        "crop": 2,
    }
    assert Recipe(**one) == recipe
    assert Recipe(**other) == SHORT


def test_older_records_are_read_as_steady_recipes():
    """Their pages were written before a recipe had more fields."""
    made = lth.recorded("lenet-mnist", "laptop").attrs["provenance"]["experiment"]
    assert Recipe(**made["recipe"]).steady


# --- what is refused when the plan is made ----------------------------------------


@pytest.mark.parametrize("word", NETWORKS)
def test_dropout_needs_a_network_with_places(word):
    tiny = tiny_experiment(
        network=word,
        data={(1, 28, 28): "mnist-small", (1, 1, 40): "mnist-1d"}.get(
            TAKES[word], "colour-digits"
        ),
    )
    recipe = replace(SHORT, dropout=0.5)
    has_places = any(type(m).__name__ == "Dropout" for m in lth.network(word).modules())
    assert has_places == (word in DROPPING)
    if has_places:
        assert replace(tiny, recipe=recipe).recipe.dropout == 0.5
        assert replace(tiny, recipe=recipe, network=f"{word}@0.5").recipe == recipe
        return
    sentence = f"network {word!r} has no place for the recipe's dropout of 0.5: expect"
    with pytest.raises(LotteryError, match=sentence):
        replace(tiny, recipe=recipe)


@pytest.mark.parametrize(
    ("network", "data", "crop", "most"),
    [
        ("lenet", "mnist-small", 28, 27),
        ("conv2-narrow", "colour-digits", 32, 31),
        ("lenet-1d", "mnist-1d", 1, 0),
    ],
)
def test_a_crop_is_narrower_than_the_images(network, data, crop, most):
    tiny = tiny_experiment(network=network, data=data)
    sentence = f"crop is {crop}, but the images of {data!r} .* from 0 to {most}, so"
    with pytest.raises(LotteryError, match=sentence):
        replace(tiny, recipe=replace(SHORT, crop=crop))
    assert replace(tiny, recipe=replace(SHORT, crop=most)).recipe.crop == most
