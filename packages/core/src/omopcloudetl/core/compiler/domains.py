"""Tells a domain that is likely to be misspelt from one that only this vocabulary has."""

from __future__ import annotations

from difflib import get_close_matches

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.errors import Position

# The names of OMOP's vocabulary of domains, without those that stand for two of them, as in "Condition/Procedure".
DOMAINS = (
    "Condition",
    "Condition Status",
    "Cost",
    "Currency",
    "Device",
    "Drug",
    "Episode",
    "Ethnicity",
    "Gender",
    "Geography",
    "Language",
    "Meas Value",
    "Meas Value Operator",
    "Measurement",
    "Metadata",
    "Note",
    "Observation",
    "Payer",
    "Place of Service",
    "Plan",
    "Plan Stop Reason",
    "Procedure",
    "Provider",
    "Race",
    "Regimen",
    "Relationship",
    "Revenue Code",
    "Route",
    "Spec Anatomic Site",
    "Spec Disease Status",
    "Specimen",
    "Sponsor",
    "Type Concept",
    "Unit",
    "Visit",
)


def check_domain(compilation: Compilation, domain: str, position: Position) -> None:
    """Warn of a domain that is nearly one of OMOP's: no concept would be of it, and every code would get 0."""
    lower = {name.lower(): name for name in DOMAINS}
    if domain in DOMAINS or "/" in domain or not get_close_matches(domain.lower(), lower, n=1, cutoff=0.75):
        return
    message = f"OMOP has no domain '{domain}'"
    help_ = "correct it, unless your vocabulary has concepts of it"
    compilation.problem(
        "unknown-domain", message, position, found=domain, allowed=DOMAINS, help=help_, severity="warning"
    )
