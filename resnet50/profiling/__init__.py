"""How fast this library is on this machine, beside what one would use instead."""
