"""Numba kernels: pure functions over arrays, no objects, no input or output."""
