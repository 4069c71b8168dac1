"""Models with a latent variable: log p(x) is bounded and estimated through q(z | x)."""
