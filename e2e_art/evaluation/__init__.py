"""What pictures are worth: their losses, beside the optimization baseline."""
