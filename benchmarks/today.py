"""What is timed of the commit that the library is held against: "today".

`python -m benchmarks.today FOLDER TICKETS` takes orders (processes.py) with
that commit's package on the path, whose modules lay flat and whose engines
took one scaled batch at a time.
"""

import sys
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.processes import Contender, Loops, Steps, serve

COMMIT = "c59cb3c"
# What its workers had in their environment.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


def loops(tickets: Path) -> Loops:
    """Return its loops: a step as its `train` takes it, and its evaluation."""
    import lth_utils as lth
    from lth_utils import training

    recipe = lth.Recipe(lr=1.2e-3, iterations=10**9, batch_size=60)

    def made(contender: Contender) -> tuple[Any, Any]:
        net = lth.Ticket.load(tickets / contender.what).build()
        return training.engine_for(net, recipe), lth.load(contender.data)

    def step(contender: Contender) -> Steps:
        engine, data = made(contender)
        order = training.batches(len(data.train.labels), recipe, 0, 0)

        def steps(count: int) -> None:
            for index in islice(order, count):
                images = data.train.images.index_select(0, index)
                labels = data.train.labels.index_select(0, index)
                engine.step(data.scale(images), labels)

        return steps

    def evaluation(contender: Contender) -> Steps:
        import torch

        engine, data = made(contender)

        def steps(count: int) -> None:
            for _ in range(count):
                for split in ("validation", "test", "train"):
                    training._measure(engine.scores, data, torch.float32, split)

        return steps

    return {"today": step, "today's evaluation": evaluation}


if __name__ == "__main__":
    folder, tickets = sys.argv[1:]
    sys.path.insert(0, folder)
    serve(loops(Path(tickets)))
