"""When not to answer with one class: prediction sets at a stated coverage, and the refusal of images unlike all others.

Pure NumPy.
"""
