"""What panels and rules answer to samples in which every part of an expression makes a difference.

The answers are kept in YAML files, and were read. `make mutate` changes the expressions, and sees whether these notice.
"""
