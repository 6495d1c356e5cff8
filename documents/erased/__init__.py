"""What remains recognizable of an erased person, so that later data about them is redacted."""
