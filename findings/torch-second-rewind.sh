#!/usr/bin/env bash
# torch 2.13.0: `vector_to_parameters` and `Optimizer.load_state_dict` keep what they
# are given instead of copying it; `Module.load_state_dict` copies.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: after a rewind with one of the first two, training changes the saved
#   start itself. The first rewind is right, every later one goes to where the last
#   training ended, and nothing is said.
# Guess: the docstring of `vector_to_parameters` speaks of copying, the
#   optimizer's method has the name of the module's, and a test of one rewind passes.
# Seen (how far the saved start lies from its copy after a step that follows):
#   Module.load_state_dict: 0.000
#   vector_to_parameters: 0.100
#   Optimizer.load_state_dict: 0.900
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import copy

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

net = nn.Linear(3, 1, bias=False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def step():
    optimizer.zero_grad()
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()


def moved(saved, rewind, watched):
    before = watched(saved).clone()
    rewind(saved)
    step()
    return (watched(saved) - before).abs().max().item()


far = {
    "Module.load_state_dict": moved(
        copy.deepcopy(net.state_dict()), net.load_state_dict, lambda s: s["weight"]
    )
}
optimizer.state.clear()
far["vector_to_parameters"] = moved(
    parameters_to_vector(net.parameters()).detach().clone(),
    lambda vector: vector_to_parameters(vector, net.parameters()),
    lambda vector: vector,
)
optimizer.state.clear()
step()  # a gradient of 1: the momentum is 1, and 1.9 after the next step
far["Optimizer.load_state_dict"] = moved(
    copy.deepcopy(optimizer.state_dict()),
    optimizer.load_state_dict,
    lambda saved: saved["state"][0]["momentum_buffer"],
)
for name, distance in far.items():
    print(f"{name}: {distance:.3f}")
if far["Module.load_state_dict"] != 0:
    raise SystemExit("Changed: Module.load_state_dict does not copy any more.")
if far["vector_to_parameters"] == 0:
    raise SystemExit("Changed: vector_to_parameters copies now.")
if far["Optimizer.load_state_dict"] == 0:
    raise SystemExit("Changed: Optimizer.load_state_dict copies now.")
PY
