"""How loops are compiled, and what all of them are made of.

They need Numba, which is optional: nothing here is imported without it.
"""
