"""The builders of `kind: derived`, each a module and a function of one name."""
