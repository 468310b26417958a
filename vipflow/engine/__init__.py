"""The engine: the only writer of state. It owns the transaction, and knows nothing of any trade."""

from vipflow.engine.apply import Engine
from vipflow.engine.envelope import Envelope, Verdict, read_envelope

__all__ = ["Engine", "Envelope", "Verdict", "read_envelope"]
