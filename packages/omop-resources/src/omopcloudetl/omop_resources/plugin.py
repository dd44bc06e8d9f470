"""Registers the folder of OMOP resources with OMOP Cloud ETL."""

import importlib.resources
from importlib.resources.abc import Traversable

import pluggy

hookimpl = pluggy.HookimplMarker("omopcloudetl")


@hookimpl
def omopcloudetl_register_resources() -> Traversable:
    """Return the folder that holds this package's resources."""
    return importlib.resources.files("omopcloudetl.omop_resources")
