"""``python -m tfixup`` is the command ``tfixup``."""

from numerics.cli.main import main

if __name__ == "__main__":
    main()
