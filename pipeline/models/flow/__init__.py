"""Models whose density is that of noise which an invertible function has moved."""
