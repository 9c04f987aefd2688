"""What networks learn on: photos, noise, masks."""
