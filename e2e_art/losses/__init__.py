"""The perceptual loss and its parts."""
