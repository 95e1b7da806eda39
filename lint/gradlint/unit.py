"""One parsed file with everything that can be asked of it, each answer computed when first asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from gradlint.names import Names
from gradlint.positions import Positions
from gradlint.semantics.autograd_function import AutogradFunctions
from gradlint.semantics.grad_mode import GradMode
from gradlint.semantics.graph_values import GraphValues
from gradlint.semantics.init_function import InitFunctions
from gradlint.semantics.init_reach import InitReach
from gradlint.semantics.layer_chain import LayerChains
from gradlint.semantics.local_calls import LocalCalls
from gradlint.semantics.losses import Losses
from gradlint.semantics.module_class import ModuleClasses
from gradlint.semantics.optimizers import Optimizers
from gradlint.semantics.origins import Origins
from gradlint.semantics.project import ProjectIndex
from gradlint.semantics.receivers import Receivers
from gradlint.semantics.training_loop import TrainingLoops
from gradlint.walk import Tree

if TYPE_CHECKING:
    import libcst as cst

    from gradlint.source import Source


class Unit:
    """A file under analysis: its text, tree and the shared semantics on top."""

    def __init__(self, source: Source, module: cst.Module, project: ProjectIndex | None = None) -> None:
        self.source = source
        self.tree = Tree(module)
        self.positions = Positions(source, module)
        self.project = project or ProjectIndex()

    def let_go(self) -> None:
        """Open the circles in what was computed: without them the tree goes at once, and no collector looks for it."""
        known = vars(self)
        if "names" in known:
            self.names.scopes.let_go()
        if "chains" in known:
            del self.chains.values

    @cached_property
    def names(self) -> Names:
        """Full names, references and scopes."""
        source = self.source
        return Names(self.tree, source.module, is_package=source.is_package, elsewhere=self.project.resolve)

    @cached_property
    def classes(self) -> ModuleClasses:
        """The classes and what they register."""
        return ModuleClasses(self.tree, self.names, self.project)

    @cached_property
    def chains(self) -> LayerChains:
        """The chains of layers."""
        return LayerChains(self.tree, self.names, self.classes)

    @cached_property
    def inits(self) -> InitFunctions:
        """The init calls, init functions and what they are applied to."""
        return InitFunctions(self.tree, self.names, self.classes)

    @cached_property
    def reach(self) -> InitReach:
        """Which layers the init calls fill."""
        return InitReach(self.tree, self.names, self.classes, self.chains, self.inits)

    @cached_property
    def functions(self) -> AutogradFunctions:
        """The classes derived from `autograd.Function`."""
        return AutogradFunctions(self.tree, self.names, self.classes, self.project)

    @cached_property
    def calls(self) -> LocalCalls:
        """Which function of the file a call runs."""
        return LocalCalls(self.tree, self.names, self.classes)

    @cached_property
    def origins(self) -> Origins:
        """Where values were made."""
        return Origins(self.names, self.classes, self.calls)

    @cached_property
    def mode(self) -> GradMode:
        """Where autograd records."""
        return GradMode(self.tree, self.names, self.calls)

    @cached_property
    def losses(self) -> Losses:
        """Which calls compute a loss."""
        return Losses(self.names, self.classes, self.origins)

    @cached_property
    def graphs(self) -> GraphValues:
        """Which values carry a graph."""
        receivers = Receivers(self.tree, self.names, self.classes)
        return GraphValues(self.tree, self.names, self.classes, receivers, self.losses, self.mode)

    @cached_property
    def loops(self) -> TrainingLoops:
        """The training loops."""
        return TrainingLoops(self.tree, self.names, self.calls, Optimizers(self.names, self.origins), self.project)
