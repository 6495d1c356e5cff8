"""Index tables: the fields by which users and emails are found, in small collections."""
