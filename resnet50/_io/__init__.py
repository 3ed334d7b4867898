"""Reading and writing for the rest of the package: downloads, atomic files, threads, progress and message texts.

Nothing here knows images, networks or the layout of a particular file.
"""
