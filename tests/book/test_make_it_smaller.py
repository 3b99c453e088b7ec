"""The assignment on size: right answers, none, slips, and what would be cheating."""

import pytest
from book_fixtures import captions, plain, shown
from grading_fixtures import check_slip, lost, solution

NAME = "make-it-smaller"


def test_the_solution_is_on_the_board(solved):
    found = solved(NAME)
    # 100 x 784 weights, four times halved, and so on: what is left of each layer.
    first, second, last = 4900, 187, 72
    assert found.board["multiplications"] == first + second + last
    # The second layer's places take one byte less than its mask.
    layers = [9800 + 2 * first, (2 + 2) * second, 38 + 2 * last]
    assert found.board["bytes"] == sum(layers) + 2 * (100 + 30 + 10)


WEIGHTS = "[value for value in state.values() if value.ndim == 2]"
COUNT = "sum(int(np.count_nonzero(weight)) for weight in weights)"
SLIPS = {
    "biases are multiplied": (
        "your-mult", WEIGHTS, "list(state.values())", "multiplications",
        "biases are added",
    ),
    "pruned weights are counted": (
        "your-mult", "int(np.count_nonzero(weight))", "weight.size",
        "multiplications", "pruned weights are counted, too",
    ),
    "the mean of the layers' densities": (
        "your-mult", COUNT,
        "sum(w.size for w in weights)"
        " * np.mean([np.count_nonzero(w) / w.size for w in weights])",
        "multiplications", "layers differ in size",
    ),
    "that mean, rounded": (
        "your-mult", COUNT,
        "round(sum(w.size for w in weights)"
        " * np.mean([np.count_nonzero(w) / w.size for w in weights]))",
        "multiplications", "layers differ in size",
    ),
    "a bitmask without its mask": (
        "your-formats", "ceil(n / 8) + ", "", "formats",
        "bitmask: the mask itself takes bytes, too",
    ),
    "a mask of bytes": (
        "your-formats", "ceil(n / 8)", "n", "formats",
        "bitmask: a bit for each weight, not a byte",
    ),
    "the last bits lost": (
        "your-formats", "ceil(n / 8)", "n // 8", "formats",
        "bitmask: the last bits take a whole byte",
    ),
    "indices without their places": (
        "your-formats", "(place + width)", "width", "formats",
        "indices: the places themselves take bytes, too",
    ),
    "2 bytes for every place": (
        "your-formats", "2 if n <= 65_536 else 4", "2", "formats",
        "indices: 2 bytes cannot name so many places",
    ),
    "4 bytes for every place": (
        "your-formats", "2 if n <= 65_536 else 4", "4", "formats",
        "indices: 2 bytes are enough for so few places",
    ),
    "65,536 places are one too many": (
        "your-formats", "<=", "<", "formats", "2 bytes are enough for so few",
    ),
    "biases are not stored": (
        "your-bytes", "else value.nbytes", "else 0", "bytes",
        "the biases are stored, too",
    ),
    "4 bytes for every value": (
        "your-bytes", "best if value.ndim == 2 else value.nbytes",
        "min(formats(n, k, 4).values()) if value.ndim == 2 else 4 * n", "bytes",
        "the width is the array's own itemsize",
    ),
    "one format for all layers": (
        "your-bytes", "min(formats(n, k, value.itemsize).values())",
        'formats(n, k, value.itemsize)["indices"]', "bytes",
        "each layer may use a format of its own",
    ),
    "no mask": (
        "your-pack", "np.packbits(alive).tobytes() + ", "", "pack",
        "the mask is missing",
    ),
    "a mask that is not packed": (
        "your-pack", "np.packbits(alive)", "alive", "pack",
        "the mask takes bytes instead of bits",
    ),
    "zeros among the values": (
        "your-pack", "weight[alive]", "weight", "pack", "zeros are stored, too",
    ),
    "float32 stored for float16": (
        "your-pack", "weight[alive]", "weight[alive].astype(np.float32)", "pack",
        "values take twice the bytes of their type",
    ),
    "column by column": (
        "your-pack", "weight[alive]", "weight.T[alive.T]", "pack",
        "the mask first, then the values, both row by row",
    ),
    "read as float32": (
        "your-unpack", "weight = np.zeros(shape, kind)",
        "weight = np.zeros(shape, np.float32)", "unpack",
        "unpack gives shape and type",
    ),
    "read with another offset": (
        "your-unpack", "ceil(n / 8)", "max(n // 8, 1)", "unpack",
        "Does the mask end with a whole byte",
    ),
    "read column by column": (
        "your-unpack", "reshape(shape)", 'reshape(shape, order="F")', "unpack",
        "unpack puts values in other places",
    ),
    "not a network and a type": (
        "your-find", "return net, np.float16", "return net", "reach small fast",
        "expected a pair, as in return net, np.float16",
    ),
    "a type without numbers of that kind": (
        "your-find", "np.float16", "np.int8", "reach small fast",
        "expected np.float16 or np.float32",
    ),
    "another network": (
        "your-find", "return net, ", "return net.fc1, ", "reach small fast",
        "expected a LeNet",
    ),
    "chosen by test data": (
        "your-find", "return net,", "lth.evaluate(net, data)\n    return net,",
        "reach small fast", "find looks at test data: choose by the validation",
    ),
    "dense": (
        "your-find", "if round > 0:", "if False:", "small fast", "expected at most",
    ),
    "pruned too far": (
        "your-find", "range(5)", "range(9)", "reach small fast",
        "expected at least 92 % before anything is counted",
    ),
    "stored in float32": (
        "your-find", "np.float16", "np.float32", "small", "expected at most 25,000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_loses_its_questions_alone_and_is_named(grade, slip):
    check_slip(grade, NAME, *SLIPS[slip])


# What would be cheating


def found_by(*lines: str) -> str:
    """Return an answer to the last task that begins with some lines."""
    first, rest = solution(NAME, "your-find").split("    ### BEGIN SOLUTION\n")
    return first + "".join(f"    {line}\n" for line in lines) + rest


def test_a_network_that_saw_the_test_images_is_not_let_through(grade):
    learned = found_by(
        'mnist = lth.load("mnist-small")',
        "parts = zip(mnist.train, mnist.test)",
        "both = lth.Split(*(torch.cat(pair) for pair in parts))",
        'data = lth.dataset("both", both, mnist.validation, mnist.test)',
    )
    found = grade(NAME, {"your-find": learned})
    assert lost(NAME, found) == {"reach": 2, "small": 1, "fast": 1}
    said = "expected a network that is trained on the data which find is given"
    assert said in found.messages["reach"]
    assert not found.board


def test_the_board_takes_what_is_counted_and_not_what_is_claimed(grade):
    claims = (
        'lth.glue("leaderboard_bytes", 1)\n\n\n'
        "def network_bytes(state):\n    return 1\n\n\n"
        "def multiplications(state):\n    return 1\n\n\n"
    )
    answer = claims + solution(NAME, "your-find")
    found = grade(NAME, {"your-find": answer})
    assert not lost(NAME, found)
    assert found.board["bytes"] > 20_000
    assert found.board["multiplications"] > 5_000


@pytest.mark.parametrize("hidden", ["disguised(SECRET)", "disguised(7310)"])
def test_the_disguise_is_not_lifted(grade, hidden):
    found = grade(NAME, {"your-find": found_by(f"data, test = {hidden}")})
    assert lost(NAME, found) == {"reach": 2, "small": 1, "fast": 1}
    assert "find looks behind the disguise" in found.messages["reach"]


def test_the_slider_finds_where_the_formats_cross(to_its_end):
    (slider,) = shown(to_its_end(NAME), "text/html", "explore")
    best = [plain(stop).split(": ")[1].split(",")[0] for stop in captions(slider)]
    # 4 bytes a place against n / 8 for the mask: they cross at 1 / 32.
    assert best == ["dense", *["bitmask"] * 4, *["indices"] * 3]
