"""`python -m api`: the documented entry."""

from api.cli.main import main

if __name__ == "__main__":
    main()
