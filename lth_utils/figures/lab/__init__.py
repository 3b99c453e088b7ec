"""The ticket lab: networks that answer in a page without a kernel.

`networks.js` computes and `lab.js` draws; `payload.py` hands them the stored
networks, `page.py` makes one fragment of it all. `stored.py` says how networks
are stored, and `make_lab.py` trained them.
"""
