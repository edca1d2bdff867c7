"""What protocols share: fields, tables of stages, couplings."""
