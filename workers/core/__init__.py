"""Trains, scores and exports models: paths and specs in, plain values and files out. The only room that imports
torch.
"""
