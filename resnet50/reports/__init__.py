"""HTML pages on a classifier and on a dataset, rendered from the Jinja2 templates in ``templates/``.

The sentences of a page are in its template; the functions here only choose and order the numbers that it shows.
"""
