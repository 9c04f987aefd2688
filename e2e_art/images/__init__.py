"""Pictures as arrays: files, sizes, colors, regions, contact sheets."""
