"""A chain of generators learns."""
