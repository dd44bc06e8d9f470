"""A command that greets, and a listener that writes down what it hears."""
