"""Forms of a block: what it does with its shortcut, each an equation. Comparing them shows what the shortcut does.

A form is usable wherever a block is: by name in `FORMS`, for ``build_resnet50(form=...)``, or as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from keras import KerasTensor, layers

from resnet50.blocks import add, check_block, conv, keeps_shape, norm, residual, residual_block
from resnet50.conventions import V1, Conventions


def plain_block(
    x: KerasTensor,
    filters: Sequence[int],
    *,
    kernel_size: int = 3,
    stride: int = 1,
    conventions: Conventions = V1,
    name: str,
) -> KerasTensor:
    """Compute ``relu(F(x))``: the convolutions of a residual block without its shortcut.

    Arguments and errors are those of `resnet50.blocks.convolutional_block`. The last gamma starts as 1, since a
    residual of zero would leave nothing.

    Raises:
        ValueError: If the conventions have stochastic depth, which needs a shortcut.

    Source: He et al. 2015, arXiv:1512.03385, section 3.3, "Plain Network".
    """
    check_block(x, filters, kernel_size, name, stride=stride)
    if conventions.stochastic_depth:
        raise ValueError(
            f"{name}: expected stochastic_depth to be 0 in a plain block, which has no shortcut, got "
            f"{conventions.stochastic_depth!r}."
        )
    x = residual(x, filters, kernel_size, stride, replace(conventions, last_gamma="ones"), name)
    return layers.Activation("relu", name=f"{name}_out")(x)


def preactivation_block(
    x: KerasTensor,
    filters: Sequence[int],
    *,
    kernel_size: int = 3,
    stride: int = 1,
    conventions: Conventions = V1,
    name: str,
) -> KerasTensor:
    """Compute ``x + F(a)`` with ``a = relu(norm(x))``, or ``W a + F(a)`` where F changes the shape.

    Batch norm and ReLU stand before each convolution instead of behind it, so that nothing bends the sum: x reaches the
    last block as it is. Arguments and errors are those of `resnet50.blocks.convolutional_block`; every gamma starts as
    1. The stem is the same as that of the other forms.

    Source: He et al. 2016, arXiv:1603.05027, figure 1 (b) and figure 4 (e).
    """
    check_block(x, filters, kernel_size, name, stride=stride)
    a = norm_relu(x, conventions, f"{name}_1")
    shortcut = x if keeps_shape(x, filters, stride) else conv(a, filters[-1], 1, stride, conventions, f"{name}_0")
    return add(shortcut, preactivated_residual(a, filters, kernel_size, stride, conventions, name), conventions, name)


def preactivated_residual(
    a: KerasTensor, filters: Sequence[int], kernel_size: int, stride: int, conventions: Conventions, name: str
) -> KerasTensor:
    """Return F(a): the convolutions of figure 5, with batch norm and ReLU between them and nothing after the last."""
    if len(filters) == 2:
        a = conv(a, filters[0], kernel_size, stride, conventions, f"{name}_1")
        return conv(norm_relu(a, conventions, f"{name}_2"), filters[1], kernel_size, 1, conventions, f"{name}_2")
    first, second = (1, stride) if conventions.stride_on_kernel else (stride, 1)
    a = conv(a, filters[0], 1, first, conventions, f"{name}_1")
    a = conv(norm_relu(a, conventions, f"{name}_2"), filters[1], kernel_size, second, conventions, f"{name}_2")
    return conv(norm_relu(a, conventions, f"{name}_3"), filters[2], 1, 1, conventions, f"{name}_3")


def norm_relu(x: KerasTensor, conventions: Conventions, name: str) -> KerasTensor:
    """Compute ``relu(norm(x))``: the layers ``{name}_bn`` and ``{name}_relu``."""
    return layers.Activation("relu", name=f"{name}_relu")(norm(x, conventions, name))


def _nothing(x: KerasTensor, conventions: Conventions, name: str) -> KerasTensor:
    return x


@dataclass(frozen=True)
class Form:
    """How the blocks of a network use their shortcuts.

    Attributes:
        name: Name in `FORMS`.
        block: Function ``(x, filters, *, kernel_size, stride, conventions, name) -> feature map``.
        after: Function ``(x, conventions, name) -> feature map`` that follows the last block.
    """

    name: str
    block: Callable[..., KerasTensor]
    after: Callable[[KerasTensor, Conventions, str], KerasTensor] = _nothing


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        form.name: form
        for form in (
            Form("residual", residual_block),  # relu(x + F(x))
            Form("plain", plain_block),  # relu(F(x))
            Form("preactivation", preactivation_block, after=norm_relu),  # x + F(relu(norm(x)))
        )
    }
)
"""Forms by name. Weights of one form do not fit another."""


def find_form(form: str | Form) -> Form:
    """Return a form by name; a `Form` is returned as it is.

    Raises:
        ValueError: If no form has that name.
    """
    if isinstance(form, Form):
        return form
    if form not in FORMS:
        raise ValueError(f"expected form to be one of {', '.join(FORMS)}, or a Form, got {form!r}.")
    return FORMS[form]
