"""Runs the commands without an installation: python -m e2e_art infer photo.jpg"""

from .commands.main import main

if __name__ == "__main__":
    raise SystemExit(main())
