"""What rules share beyond names: module classes, layer chains, init functions, the project."""
