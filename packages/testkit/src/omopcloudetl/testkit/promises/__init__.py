"""What connections and generators promise, a module for each subject."""

from omopcloudetl.testkit.promises import cancel, catalogues, errors, metrics, records, sessions, transactions

MODULES = (cancel, catalogues, errors, metrics, records, sessions, transactions)
PROMISES = tuple(promise for module in MODULES for promise in module.PROMISES)
