"""Runs over images: jobs, journal, report, preview."""
