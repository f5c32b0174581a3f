"""Training: free functions (plan, collate, normalise, loss, checkpoint) and a thin trainer."""
