"""Measuring a trained student: its answers, their accuracy with intervals, and its model card."""
