"""Where events come from: each kind in a module named after it, with the parts it is made of beside it."""
