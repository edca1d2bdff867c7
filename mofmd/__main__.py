"""``python -m mofmd``: the command, for an interpreter whose scripts are not on PATH."""

from mofmd.cli.entry import main

if __name__ == "__main__":
    main()
