"""Finding out what is wrong from outside: probes through every hop, and a bundle for whoever is asked for help.

Changes nothing: it only asks, reads, and writes the bundle where it is told to.
"""
