"""Which frames are worth a label."""
