"""Stage `report`: the results of all arms and seeds as one table and one page."""

from __future__ import annotations
