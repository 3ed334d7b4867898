"""Images in, splits and batches out; no module here knows the network."""
