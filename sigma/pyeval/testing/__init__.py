"""Rules tested like code: cases beside the rules, run, covered, reported."""
