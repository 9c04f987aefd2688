"""Losses of pictures, beside the optimization baseline."""
