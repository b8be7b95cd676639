"""Tracked flows (conntrack), through ctnetlink."""
