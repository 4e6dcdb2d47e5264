"""The live page: lists and counts of kept alerts, the state of the service's parts, and who may see them."""
