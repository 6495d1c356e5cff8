"""What is stored and what it means: one file a document, and the counting, matching, reports."""
