"""What animals do: clips and pose sequences to behaviours, bouts and time budgets.

Importing this room is light: torch, scikit-learn and the video decoder are loaded by what needs them.
"""
