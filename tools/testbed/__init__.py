"""What tests and tools share: the named cast, real servers, and views of what is stored."""
