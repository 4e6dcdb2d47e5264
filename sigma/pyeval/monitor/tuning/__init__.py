"""Tuning: which matches raise no alert (exceptions), and how often one alert is repeated (suppression)."""
