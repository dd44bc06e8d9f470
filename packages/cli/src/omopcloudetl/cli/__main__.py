"""`python -m omopcloudetl.cli` is the command `omopcloudetl`."""

from omopcloudetl.cli.main import main

if __name__ == "__main__":
    main()
