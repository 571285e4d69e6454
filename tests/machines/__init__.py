"""Whole machines, booted for a test."""
