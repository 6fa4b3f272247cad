"""Programs that stand in for ours in tests."""
