"""Which loss edges a question gets: prompt forms, targets, and the encoded sequences."""
