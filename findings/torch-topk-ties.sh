#!/usr/bin/env bash
# torch 2.13.0: among equal magnitudes, pruning by magnitude takes whole
# neighbourhoods out of the middle of the tensor.
#
# Versions: torch 2.13.0 (the Linux wheel), numpy 2.4.6; any CPU.
# Behaviour: `topk` of n equal numbers returns the first k while k <= n / 64, and
#   beyond that a few stretches in the middle. `nn.utils.prune.l1_unstructured`
#   ranks with it: of a layer whose weights are all +c or -c (signed constants, as
#   in studies of what in a ticket matters), a fifth is taken as 55 of its 300
#   units whole, and 238 units lose nothing.
# Guess: ties are broken by the first place, or evenly; a fifth of the weights is
#   then about a fifth of each unit.
# Seen:
#   the 5 of 1,000 equal numbers: places 0 to 4
#   the 100 of 1,000 equal numbers: places 626 to 749
#   units of 300 with nothing left: 55, untouched: 238, partly pruned: 7
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torch.nn.utils import prune

equal = torch.zeros(1000)
for k in (5, 100):
    places = torch.topk(equal, k, largest=False).indices
    first, last = places.min().item(), places.max().item()
    print(f"the {k} of 1,000 equal numbers: places {first} to {last}")
    if (first == 0) != (k <= 1000 / 64):
        raise SystemExit("Changed: topk chooses in another way among equal numbers.")

torch.manual_seed(0)
layer = nn.Linear(784, 300)
with torch.no_grad():
    layer.weight.copy_(0.05 * layer.weight.sign())
left = prune.l1_unstructured(layer, "weight", amount=0.2).weight_mask.sum(1)
dead, whole = (left == 0).sum().item(), (left == 784).sum().item()
print(
    f"units of 300 with nothing left: {dead}, untouched: {whole},"
    f" partly pruned: {300 - dead - whole}"
)
if dead < 30 or whole < 200:
    raise SystemExit("Changed: ties are no longer pruned a neighbourhood at a time.")
PY
