"""Tests that need neither root nor a special kernel, unless a marker says so."""
