"""What the rest of the package reads and writes through: downloads, atomic files, threads, progress and message words.

Nothing here knows images, networks or the layout of a particular file.
"""
