"""The checks inside other people's work: assertions for tests, figures, callbacks of trainers."""

__all__ = ["assertions", "plot", "step_watch", "lightning_watch", "trainer_watch"]
