"""Finished runs beside each other: which there are, what differs in their recipes, and which differences are chance.

It reads run directories and trains nothing.
"""
