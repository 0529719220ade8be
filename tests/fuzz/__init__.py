"""Hostile input by the hundred thousand: `make fuzz` damages files and requests, and reads them as the program would.

Every input is made from its number, so that a run can go on later, on any number of cores, and a fault can be repeated.
"""
