"""Refining the placement of a design on an ECP5 between nextpnr's placing and its routing."""
