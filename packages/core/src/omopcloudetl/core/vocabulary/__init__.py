"""Vocabularies beside a run: what Usagi's files say, which codes are mapped, what is loaded."""
