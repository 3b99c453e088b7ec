"""The data that is in the package, and the script that made it."""
