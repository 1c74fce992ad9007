"""TOML into typed settings, for both programs; all mistakes are found at once."""
