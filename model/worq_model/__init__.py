"""The executable specification of worq: pure functions over immutable values. Read README.md beside the package first.

The order to read it in: `values`, `operations`, `table`, `queue`, `invariants`; then `lifecycle_table` and `lifecycle`.
Nothing here imports worq, reads a clock, draws a number, or touches a file.
"""
