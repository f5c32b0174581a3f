"""Shipped recipes, addressed by name."""
