"""A person's words in, a message out. Knows no torch, no polars, no onnxruntime."""
