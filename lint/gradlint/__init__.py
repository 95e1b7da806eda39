"""gradlint: a static checker for what makes gradients vanish, explode, go missing or lie in PyTorch code."""

from __future__ import annotations

__version__ = "0.1.0"
