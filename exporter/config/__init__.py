"""The config file: YAML, checked, as frozen models; presets beside it as data."""
