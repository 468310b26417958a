"""What the wheel takes along beside folders: a single file, which `sources` in pyproject.toml cannot move."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Alone(BuildHookInterface[Any]):
    """Puts `config.toml` beside the shipped folders; an editable install reads it from the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["config.toml"] = "vipflow/_shipped/config.toml"
