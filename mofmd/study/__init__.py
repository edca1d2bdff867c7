"""What is analysed of a run, an ensemble or a file."""
