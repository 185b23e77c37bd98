"""Lists the packages: every folder with an `__init__.py` below those that pyproject.toml maps into m890.

A list written by hand would be a second definition, and a forgotten entry shows only in the wheel.
"""

from setuptools import find_packages, setup

ROOMS = ("isa", "emulator", "programs", "tools")

setup(packages=["m890", *(f"m890.{name}" for name in find_packages() if name.split(".")[0] in ROOMS)])
