"""Models that make images of noise and claim no density; they learn by comparing what they made with what is there."""
