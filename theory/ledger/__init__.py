"""The rows of the ledger, a file a paper."""
