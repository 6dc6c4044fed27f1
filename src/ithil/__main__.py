"""`python -m ithil` is the same as the command `ithil`."""

from ithil.cli import main

if __name__ == "__main__":
    main()
