"""`omopcloudetl doctor`: looks at all that a run needs, says what is wrong, and leaves nothing behind."""
