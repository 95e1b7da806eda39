"""Where a report was made: versions, devices, threads. Loads nothing: what is not loaded was not used."""

from __future__ import annotations

import platform
import sys
from typing import Any


def environment() -> dict[str, str]:
    """Versions, devices and threads of this process; what is not loaded is left out, and nothing is loaded for it."""
    package: Any = sys.modules["pytest_gradcheck"]
    found = {
        "pytest-gradcheck": str(package.__version__),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    pytest: Any = sys.modules.get("pytest")
    if pytest is not None:
        found["pytest"] = str(pytest.__version__)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        found |= {"torch": str(torch.__version__), "threads": str(torch.get_num_threads())}
        if torch.cuda.is_initialized():
            names = {torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())}
            found["devices"] = ", ".join(sorted(names))
    numpy: Any = sys.modules.get("numpy")
    return found if numpy is None else found | {"numpy": str(numpy.__version__)}
