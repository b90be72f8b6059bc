"""What a critic is worth on replies that it was not trained on, and what is wrong where it is not."""
