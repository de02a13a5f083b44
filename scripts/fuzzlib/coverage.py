"""Coverage guidance: which blocks of a package have run, told by probes that are put into it while it is imported.

A probe is one look into a bytearray (about 20 ns); only the first visit of a block costs more. `sys.settrace` costs
that for every line, and `sys.monitoring` is not there before Python 3.12.
"""

from __future__ import annotations

import ast
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

_SEEN: Final = "__fuzz_seen__"
_REACH: Final = "__fuzz_reach__"


class Coverage:
    """The blocks of the probed modules, and which of them have run."""

    def __init__(self) -> None:
        self.seen = bytearray()
        """One byte per block: 1 once it has run."""
        self.fresh = 0
        """Blocks that have run for the first time since this was set to 0."""

    @property
    def reached(self) -> int:
        """How many blocks have run."""
        return self.seen.count(1)

    def reach(self, block: int) -> None:
        """Note the first visit of a block."""
        self.seen[block] = 1
        self.fresh += 1

    def clear(self) -> None:
        """Forget what has run."""
        self.seen[:] = bytes(len(self.seen))
        self.fresh = 0

    def probe(self, tree: ast.Module) -> ast.Module:
        """Put a probe at the head of every block of `tree`."""
        probed: ast.Module = ast.fix_missing_locations(_Prober(self).visit(tree))
        return probed

    def watch(self, package: str) -> None:
        """Probe every module below `package` that is imported from now on, by anybody in this process."""
        sys.meta_path.insert(0, _Finder(self, package + "."))


class _Finder(MetaPathFinder):
    def __init__(self, coverage: Coverage, prefix: str) -> None:
        self._coverage = coverage
        self._prefix = prefix

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self._prefix):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(self._coverage, spec.loader.name, str(spec.loader.path))
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, coverage: Coverage, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._coverage = coverage

    def get_code(self, fullname: str) -> CodeType:
        # Not the one of the base, which would take compiled code from the cache, and leave probed code there.
        path = self.get_filename(fullname)
        tree = self._coverage.probe(ast.parse(self.get_data(path), path))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[_SEEN] = self._coverage.seen
        module.__dict__[_REACH] = self._coverage.reach
        super().exec_module(module)


class _Prober(ast.NodeTransformer):
    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage

    def _probe(self) -> ast.stmt:
        block = len(self._coverage.seen)
        self._coverage.seen.append(0)
        (probe,) = ast.parse(f"{_SEEN}[{block}] or {_REACH}({block})").body
        return probe

    def _blocks(self, node: ast.AST) -> ast.AST:
        """Probe the blocks of a statement; of a condition, also the way past it."""
        self.generic_visit(node)
        for name in ("body", "orelse"):
            block = getattr(node, name, [])
            if block or isinstance(node, ast.If):
                setattr(node, name, [self._probe(), *block])
        return node

    visit_If = visit_For = visit_AsyncFor = visit_While = visit_ExceptHandler = visit_match_case = _blocks  # noqa: N815

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        after = int(ast.get_docstring(node, clean=False) is not None)
        node.body[after:after] = [self._probe()]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815
