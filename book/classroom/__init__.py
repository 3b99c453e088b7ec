"""The classroom: what students get, and what they get for it.

Read in this order: `sources` (an assignment as its author wrote it), `release`
(the students' version), `submissions` (what came back), `kernel` (a Python of
its own for one submission), `marking` (its points), `tables` and `feedback`
(what is written down), `grade` (all of it, for a class).
"""
