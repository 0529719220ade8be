"""Pictures of a run: an overview of each image, crops around outlines and rejections, and a page that links them."""
