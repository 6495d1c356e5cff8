"""Values without a database: addresses, money, time, and rates. Pure."""
