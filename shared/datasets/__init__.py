"""Find a dataset by name, file or address, safely; the store of their bytes by hash; their dialect."""
