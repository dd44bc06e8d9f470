"""What connections and generators promise, a module for each subject."""

from omopcloudetl.testkit.promises import (
    cancel,
    capabilities,
    catalogues,
    errors,
    generators,
    loads,
    metrics,
    records,
    sessions,
    transactions,
)

MODULES = (
    cancel,
    capabilities,
    catalogues,
    errors,
    generators,
    loads,
    metrics,
    records,
    sessions,
    transactions,
)
PROMISES = tuple(promise for module in MODULES for promise in module.PROMISES)
