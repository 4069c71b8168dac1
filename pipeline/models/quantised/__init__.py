"""Models with a map of discrete codes: p(x) is bounded by one code map, estimated by many, or summed over all."""
