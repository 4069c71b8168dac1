"""Models that say log p(x) outright, pixel by pixel."""
