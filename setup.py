"""What setup.cfg cannot say: the packages are those that are found, and the shipped models, which lie elsewhere."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["e2e_art*"]), "e2e_art.pretrained"])
