"""A picture optimized by the loss, without a network that learns."""
