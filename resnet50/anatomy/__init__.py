"""A trained network taken apart: what each block adds, what it costs to lose it, and what it knows already.

`dissect` puts the measurements of one's own model together; `resnet50.anatomy.page` makes a page of them.
"""
