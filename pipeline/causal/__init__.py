"""Autoregression over a map of pixels or codes: what PixelCNN and the priors of discrete codes share."""
