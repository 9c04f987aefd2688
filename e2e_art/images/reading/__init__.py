"""What a picture file holds, as pixels: the decoders behind `images.io`."""
