"""Models with a map of codes that are drawn: q(z | x) gives each site a distribution over them, and the prior is uniform."""
