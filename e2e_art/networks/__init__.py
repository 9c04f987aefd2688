"""The networks, as Gluon blocks."""
