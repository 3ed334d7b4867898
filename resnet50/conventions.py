"""The choices that the paper leaves open, on which published ResNet-50 networks differ. Imports no Keras."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Conventions:
    """One set of the choices that the paper leaves open.

    Attributes:
        name: Name used in files and messages.
        use_bias: Whether convolutions have a bias (redundant, since batch norm follows each of them).
        epsilon: Added to the variance in every batch norm.
        stride_on_kernel: Whether a convolutional block strides on its k x k convolution (v1.5) or its first 1x1 (v1).
        momentum: Share of the old moving statistics that a training step keeps, 0..1.
        last_gamma: Initializer of the scale in each block's last batch norm. ``"zeros"`` makes every residual zero at
            the start, so that a new block passes its shortcut on (Goyal et al. 2017, arXiv:1706.02677, section 5.1).
        kernel_initializer: Initializer of every convolution's kernel.
        stochastic_depth: Share of the images of a training step for which a block adds nothing to its shortcut, 0..1.
            `resnet50.model.features` reaches it in the last block, and divides it evenly over those before.
    """

    name: str
    use_bias: bool
    epsilon: float
    stride_on_kernel: bool
    momentum: float
    last_gamma: str = "ones"
    kernel_initializer: str = "glorot_uniform"
    stochastic_depth: float = 0.0

    def from_scratch(self) -> Conventions:
        """Return the same network, initialized to train from random weights on a few thousand images.

        Moving statistics adapt within about ten steps, every residual starts at zero, and kernels start as in He et al.
        2015, arXiv:1502.01852. None of this changes what a trained network computes.
        """
        return replace(self, momentum=0.9, last_gamma="zeros", kernel_initializer="he_normal")


V1 = Conventions(name="v1", use_bias=True, epsilon=1.001e-5, stride_on_kernel=False, momentum=0.99)
"""The network of the paper as ``keras.applications.ResNet50`` builds it."""

V1_5 = Conventions(
    name="v1.5", use_bias=False, epsilon=1e-5, stride_on_kernel=True, momentum=0.9, kernel_initializer="he_normal"
)
"""The network as torchvision, timm and Hugging Face build it."""

CONVENTIONS = {conventions.name: conventions for conventions in (V1, V1_5)}
