"""What is timed of this checkout, and what it is held against: loops by word.

`python -m benchmarks.contenders` takes orders (processes.py). The loops of
single convolutions are in layers.py, those of an earlier commit in today.py.
"""

from itertools import islice, pairwise

import torch
from torch import nn

import lth_utils as lth
from benchmarks import layers, peer, textbook, tickets
from benchmarks.processes import Contender, Loops, Steps, serve
from lth_utils.training.choice import engine_for
from lth_utils.training.engines import Autograd, Descent, Engine
from lth_utils.training.lenet.mlp import MLP, linear_layers
from lth_utils.training.lenet.pixels import Pixels
from lth_utils.training.lenet.sparse import Sparse
from lth_utils.training.measuring import sample_of
from lth_utils.training.order import batches
from lth_utils.words import SPLITS

BATCH = 60  # the paper's
RECIPE = lth.Recipe(lr=1.2e-3, iterations=10**9, batch_size=BATCH)
ENGINES = {"mlp": MLP, "pixels": Pixels, "sparse": Sparse}
CALL = 100  # steps that `train` asks an engine for at a time


# --- ours ---------------------------------------------------------------------


def _engine(loop: str, net: nn.Module, data: lth.Dataset) -> Engine:
    if loop == "ours":
        return engine_for(net, RECIPE, data)
    if loop == "autograd":
        return Autograd(net, RECIPE, data)
    layers = linear_layers(net)
    assert layers is not None
    return ENGINES[loop](layers, RECIPE, data)


def _ours(contender: Contender) -> Steps:
    """An engine of the library, fed as `train` feeds it."""
    net, data = tickets.ticket(contender.what).build(), lth.load(contender.data)
    engine = _engine(contender.loop, net, data)
    order = batches(len(data.train.labels), RECIPE, 0, 0)

    def steps(count: int) -> None:
        for done in range(0, count, CALL):
            engine.steps(torch.stack(list(islice(order, min(CALL, count - done)))))

    return steps


def _evaluation(contender: Contender) -> Steps:
    """The measuring of all images that an evaluation is of."""
    net, data = tickets.ticket(contender.what).build(), lth.load(contender.data)
    engine = engine_for(net, RECIPE, data)

    def steps(count: int) -> None:
        for _ in range(count):
            for split in SPLITS:
                engine.measure(sample_of(data, split))

    return steps


# --- what it is held against --------------------------------------------------


def _textbook(contender: Contender) -> Steps:
    torch.manual_seed(0)
    net = textbook.pruned(tickets.ticket(contender.what))
    data = lth.load(contender.data)
    order = textbook.forever(textbook.loader(data, data.train, BATCH, shuffle=True))
    optimizer = torch.optim.Adam(net.parameters(), lr=RECIPE.lr)

    def steps(count: int) -> None:
        textbook.train(net, order, optimizer, count)

    return steps


def _textbook_evaluation(contender: Contender) -> Steps:
    net = textbook.pruned(tickets.ticket(contender.what))
    data = lth.load(contender.data)
    samples = [sample_of(data, split) for split in SPLITS]
    loaders = [textbook.loader(data, each, 1000, shuffle=False) for each in samples]

    def steps(count: int) -> None:
        for _ in range(count):
            for each in loaders:
                textbook.evaluate(net, each)

    return steps


def _sparseprop(contender: Contender) -> Steps:
    """SparseProp's layers and torch's fused Adam, fed with resident images."""
    net, data = tickets.ticket(contender.what).build(), lth.load(contender.data)
    theirs = peer.network(net, data.scale(data.train.images[:BATCH]))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=RECIPE.lr, fused=True)
    order = batches(len(data.train.labels), RECIPE, 0, 0)

    def steps(count: int) -> None:
        for index in islice(order, count):
            x = data.scale(data.train.images.index_select(0, index))
            optimizer.zero_grad()
            y = data.train.labels.index_select(0, index)
            nn.functional.cross_entropy(theirs(x), y).backward()
            optimizer.step()

    return steps


def _limit(_: Contender) -> Steps:
    """The least that a dense LeNet step needs: its eight products, one Adam sweep."""
    units = (784, 300, 100, 10)
    layers = list(pairwise(units))
    parameter = torch.zeros(sum((inputs + 1) * outputs for inputs, outputs in layers))
    parameter.grad = torch.randn_like(parameter)
    descent = Descent([parameter], RECIPE)
    weights = [torch.randn(outputs, inputs) for inputs, outputs in layers]
    gradients = [torch.empty_like(weight) for weight in weights]
    signals = [torch.randn(BATCH, count) for count in units]
    deltas = [torch.randn(BATCH, count) for count in units]

    def steps(count: int) -> None:
        for _ in range(count):
            for number, weight in enumerate(weights):
                torch.mm(signals[number], weight.t(), out=signals[number + 1])
            for number, weight in enumerate(weights):
                after = deltas[number + 1]
                torch.mm(after.t(), signals[number], out=gradients[number])
                if number:
                    torch.mm(after, weight, out=deltas[number])
            descent.step()

    return steps


LOOPS: Loops = {
    "ours": _ours,
    "autograd": _ours,
    **dict.fromkeys(ENGINES, _ours),
    "evaluation": _evaluation,
    "textbook": _textbook,
    "textbook evaluation": _textbook_evaluation,
    "sparseprop": _sparseprop,
    "limit": _limit,
    **layers.LOOPS,
}


if __name__ == "__main__":
    serve(LOOPS)
