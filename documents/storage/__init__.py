"""Storage of records: base classes, tenancy, transactions, pages, and the export outbox."""
