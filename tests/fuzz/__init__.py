"""Fuzzing: every reader of files gets thousands of damaged ones, and must read or refuse each within bounds."""
