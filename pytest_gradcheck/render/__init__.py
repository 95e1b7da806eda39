"""Reports as text: reads the plain data of `pytest_gradcheck.model` only, and works without torch."""
