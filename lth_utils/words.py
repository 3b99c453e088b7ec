"""The words a user can say, in one place that needs no torch.

A word is checked against these before torch is imported, so that a slip of
the pen is answered at once.
"""

DATASETS = ("mnist-small", "mnist", "colour-digits")
SCALINGS = ("standardize", "unit", "l2")
NETWORKS = ("lenet", "conv2", "conv4", "conv6", "resnet20", "vgg19", "conv2-narrow")
SPLITS = ("train", "validation", "test")
SCOPES = ("layer-wise", "global")
SCORES = ("magnitude", "random", "initial")

# How a network got its structure and its initial weights:
#   dense           every weight, trained once (round 0)
#   ticket          iterative magnitude pruning, reset to theta_0 each round
#   continuing      iterative, training continued between prunings, never reset
#   continued       the masks found so, reset once at the end (strategy 2 of
#                   the paper's appendix B)
#   oneshot         pruned once, after round 0, to the ticket's layer counts
#   oneshot-reinit  that mask with freshly drawn weights
#   reinit          the ticket's mask with freshly drawn weights
#   resample        the ticket's mask with values drawn from its own survivors
#   noise-S         theta_0 plus noise of S initial standard deviations
#   random          theta_0 with a random mask of the ticket's layer counts
#   same-fan-in     likewise, and each unit keeps its number of inputs
#   same-fan-out    likewise, and each input keeps its number of units
#   initial         theta_0, keeping the largest initial values
NOISES = ("noise-0.5", "noise-1", "noise-2", "noise-3")
CONTROLS = (
    "reinit",
    "resample",
    *NOISES,
    "random",
    "same-fan-in",
    "same-fan-out",
    "initial",
)
ARMS = (
    "dense",
    "ticket",
    "continuing",
    "continued",
    "oneshot",
    "oneshot-reinit",
    *CONTROLS,
)
