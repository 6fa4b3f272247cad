"""Slow, obvious twins of the fast code: boring on purpose, compared with it by walks and benches."""
