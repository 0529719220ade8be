"""Results for programs that analyse images: label images, tables of measurements, tiles to train on."""
