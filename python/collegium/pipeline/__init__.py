"""The stages `annotate -> clean -> pack -> train -> evaluate -> report` and what runs them."""
