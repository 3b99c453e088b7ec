"""How fast the library is, as ratios; see README.md."""
