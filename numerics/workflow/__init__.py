"""The tool inside other people's work: assertions for their tests."""

__all__ = ["assertions"]
