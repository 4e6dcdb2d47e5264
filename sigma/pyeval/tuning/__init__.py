"""Rules in use: which are noisy and what would quieten them, what a new version changes, what they cover."""
