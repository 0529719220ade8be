"""A run over many machines: workers predict the masks of prompts, and the run itself writes everything."""
