"""The command line: `python -m pytest_gradcheck check | train | render`."""
