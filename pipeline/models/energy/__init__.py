"""Models that give every image an energy, and probabilities that fall with it."""
