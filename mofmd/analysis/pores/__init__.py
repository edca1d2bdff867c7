"""Pores: volume, surface, and the spheres that fit and pass."""
