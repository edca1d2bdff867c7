"""Files and folders: written whole, locked, recorded by schema."""
