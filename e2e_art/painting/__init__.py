"""Trained models at work: photos, clips, textures, doodles."""
