"""The built-in commands, one module each; what they need is imported when they are called."""
