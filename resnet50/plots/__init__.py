"""A model, a history or a report in, a matplotlib figure out; computes nothing, and never shows, prints or writes.

Figures are built without pyplot, so they need no screen and leave nothing behind: save one with ``figure.savefig``.
"""
