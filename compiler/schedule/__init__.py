"""From integer operators to instruction nests: tiles, on-chip regions, order and tokens."""
