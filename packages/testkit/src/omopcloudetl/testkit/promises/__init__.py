"""What connections and generators promise, a module for each subject."""

from omopcloudetl.testkit.promises import transactions

MODULES = (transactions,)
PROMISES = tuple(promise for module in MODULES for promise in module.PROMISES)
