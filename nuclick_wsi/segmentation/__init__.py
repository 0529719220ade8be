"""From prompts on a slide to outlines: the engine and its steps."""
