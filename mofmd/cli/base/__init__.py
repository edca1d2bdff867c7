"""What all commands share: their form, their help, what they tell."""
