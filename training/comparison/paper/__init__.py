"""The paper's tables again, our figures beside its own."""
