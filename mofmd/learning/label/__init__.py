"""Reference methods, and the labels they give."""
