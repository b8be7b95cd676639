"""Properties that hold for every value, found by Hypothesis."""
