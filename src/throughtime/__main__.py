"""``python -m throughtime``, as under torchrun: the command line."""

from throughtime.cli import main

if __name__ == "__main__":
    main()
