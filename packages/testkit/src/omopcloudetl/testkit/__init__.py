"""The conformance suite for database providers: subclass `ProviderConformance` and declare a `Profile`."""

from omopcloudetl.core.capabilities import FULL, Support
from omopcloudetl.testkit.conformance import ProviderConformance
from omopcloudetl.testkit.profile import Feature, Profile, never, not_yet
from omopcloudetl.testkit.target import Target

__all__ = ["FULL", "Feature", "Profile", "ProviderConformance", "Support", "Target", "never", "not_yet"]
