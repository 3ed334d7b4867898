"""Read, decode, split and batch images. Named datasets are in `resnet50.datasets`; nothing here knows the network."""
