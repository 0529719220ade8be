"""`python -m nuclick_training.manifest`: write the SHA-256 of every shipped model anew, after one has changed."""

from nuclick_wsi.models.manifest import write_manifest

if __name__ == "__main__":
    print(write_manifest())
