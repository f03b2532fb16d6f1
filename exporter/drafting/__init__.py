"""From a vendor's answer to the config that reads it: which values are what, why, and what must be asked.

    answer -> numbers (what each is called) -> quotas (which belong together) -> draft -> config text

Pure. What it cannot tell it asks; it never settles on one of two readings in silence.
"""
