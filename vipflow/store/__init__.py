"""What is remembered, on SQLite or PostgreSQL: tables, statements, migrations. Knows neither trade nor engine."""
