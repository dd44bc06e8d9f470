"""`python -m omopcloudetl.cli` is the command `omopcloudetl`."""

from omopcloudetl.cli.start import main

if __name__ == "__main__":
    main()
