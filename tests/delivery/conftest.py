"""The databases of the engine's stories, for mails too."""

from tests.engine.conftest import database, database_url, sqlite_template

__all__ = ["database", "database_url", "sqlite_template"]
