"""How records are stored: base classes, tenancy, transactions, pages, and the export outbox."""
