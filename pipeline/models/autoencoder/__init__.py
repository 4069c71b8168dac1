"""Models that encode and decode but have no density: no likelihood is claimed for them."""
