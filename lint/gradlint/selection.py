"""Which rules run and which levels are shown: code lists such as `GRD1,GRD205,module-list,ALL` against the registry."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradlint.errors import UsageProblem
from gradlint.model import Level
from gradlint.rules import OWN, RULES, UNDESELECTABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradlint.model import RuleInfo

ALL: Final = "ALL"
EVERY: Final[tuple[RuleInfo, ...]] = (*OWN, *RULES)
_BY_CODE: Final = {info.code: info for info in EVERY}
_BY_NAME: Final = {info.name: info for info in EVERY}
_QUIET: Final = (Level.INFO, Level.PEDANTIC)


@dataclass(frozen=True)
class Selection:
    """The codes that run, and those of them whose info and pedantic violations are shown, too."""

    active: frozenset[str]
    explicit: frozenset[str]

    def without(self, codes: frozenset[str]) -> Selection:
        """The selection less some codes; those that cannot be deselected stay."""
        return Selection((self.active - codes) | UNDESELECTABLE, self.explicit - codes)

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """The lines of the registry that run."""
        return tuple(info for info in RULES if info.code in self.active)

    @property
    def has_default_set(self) -> bool:
        """Whether every rule of the default set runs, so that a bare `ignore` can be called unused."""
        return all(info.code in self.active for info in RULES if info.default)

    def shows(self, code: str, level: Level) -> bool:
        """Whether a violation of this code and level is shown."""
        return level not in _QUIET or code in self.explicit


def find(text: str) -> RuleInfo | None:
    """The rule of a code or name."""
    return _BY_CODE.get(text.upper()) or _BY_NAME.get(text)


def matching(selector: str, where: str) -> frozenset[str]:
    """The codes that one selector means. Raises UsageProblem, saying `where` it was written, if it means none."""
    if selector.upper() == ALL:
        return frozenset(_BY_CODE)
    if info := find(selector):
        return frozenset((info.code,))
    prefix = selector.upper()
    codes = frozenset(code for code in _BY_CODE if re.fullmatch(r"GRD\d{0,2}", prefix) and code.startswith(prefix))
    if not codes:
        raise UsageProblem(f"{where}: no rule is called {selector!r}{suggest(selector, (*_BY_CODE, *_BY_NAME, ALL))}")
    return codes


def codes_of(selectors: Iterable[str], where: str) -> frozenset[str]:
    """The codes that several selectors mean together."""
    return frozenset[str]().union(*(matching(selector, where) for selector in selectors))


def split(lists: Iterable[str], where: str) -> tuple[str, ...]:
    """The selectors of comma lists. Raises UsageProblem for an empty list and a selector that means no rule."""
    found: list[str] = []
    for text in lists:
        given = [part.strip() for part in text.split(",") if part.strip()]
        if not given:
            raise UsageProblem(f"{where}: no code given")
        codes_of(given, where)
        found += given
    return tuple(found)


def select(chosen: Sequence[str] | None, ignored: Sequence[str], extra: Sequence[str], where: str) -> Selection:
    """Resolve code lists; None chooses the default set. The most exact selector of a rule wins, `ignored` at a tie."""
    added = _exactness((*(chosen or ()), *extra), where)
    removed = _exactness(ignored, where)
    active = {
        info.code for info in EVERY if added.get(info.code, _default(info, chosen)) > removed.get(info.code, _NEVER)
    }
    explicit = active & added.keys()
    return Selection(frozenset(active) | UNDESELECTABLE, frozenset(explicit))


_NEVER: Final = -2
_BY_DEFAULT: Final = -1


def _default(info: RuleInfo, chosen: Sequence[str] | None) -> int:
    return _BY_DEFAULT if chosen is None and info.default else _NEVER


def _exactness(selectors: Iterable[str], where: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for selector in selectors:
        exact = 0 if selector.upper() == ALL else 6 if find(selector) else len(selector)
        for code in matching(selector, where):
            found[code] = max(exact, found.get(code, exact))
    return found


def suggest(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when nothing known is near."""
    names = list(known)
    near = difflib.get_close_matches(wrong, names, 1, 0.6) or difflib.get_close_matches(wrong.upper(), names, 1, 0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
