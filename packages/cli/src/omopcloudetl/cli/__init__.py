"""The command `omopcloudetl`, the only package that prints or exits."""
