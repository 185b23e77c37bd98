"""The machine: its state as plain data, and the functions over it that run warps, compiled as they stand."""
