"""Files and folders written whole or not at all.

`places.py` says where the user's files lie, and whether they can be written;
`atomic.py` writes beside the place and renames; `bundles.py` keeps tensors
with a page of JSON that says what they are.
"""
