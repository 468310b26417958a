"""Delivery: what the outbox holds is rendered once, sent and marked, never inside a transaction that changes a case."""
