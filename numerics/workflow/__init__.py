"""The tool inside other people's work: assertions for their tests, figures for their notebooks."""

__all__ = ["assertions", "plot"]
