"""`python -m pytest_gradcheck`: checks a layer, smoke-trains a model or renders a report, without a test file."""

import sys

from pytest_gradcheck.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
