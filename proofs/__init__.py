"""Statements checked by machine: interval enclosures and SMT solvers."""
