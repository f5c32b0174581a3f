"""What only a GPU can show: races, half precision in the card's own products, peak memory."""

from __future__ import annotations

import pytest
import torch

from collegium.kernels.bench import selfcheck

pytestmark = pytest.mark.unpoisoned


@pytest.mark.gpu
@pytest.mark.parametrize("check", selfcheck.CHECKS)
def test_on_the_gpu(check):
    for implementation in selfcheck.available("cuda"):
        torch.manual_seed(0)
        selfcheck.CHECKS[check]("cuda", implementation)


@pytest.mark.ci
@pytest.mark.parametrize("check", ["repeated", "edges"])
def test_the_checks_themselves(check):
    """On a CPU they must pass as well; what they do there is little."""
    selfcheck.CHECKS[check]("cpu", "torch")
