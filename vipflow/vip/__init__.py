"""The trade: what a reseller of Adobe VIP licences knows, as pure functions and values over a policy."""
