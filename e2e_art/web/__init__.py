"""The page that paints in the browser."""
