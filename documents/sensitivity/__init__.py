"""Sensitivity: what each mailing would be credited with under other rules."""
