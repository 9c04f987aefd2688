"""Clips from files and cameras, and into files."""
