"""The viewer: a page in the browser on which a user marks objects on a slide and sees their outlines."""
