"""Diagrams of residual blocks and networks, drawn from the graph of a Keras model.

`network` reads the graph, `glyphs` draws single symbols, and `architecture` composes them.
"""
