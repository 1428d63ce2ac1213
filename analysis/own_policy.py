"""Policies of the user's own, from a Python file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

import cloudpickle

from sim.policies import Policy


def load_policy(path: Path, name: str) -> Policy:
    """The policy class `name` of a Python file, made without arguments.

    Raises ValueError for a file that cannot be run, and for a class that is not there or is not a policy.
    """
    if not path.is_file():
        raise ValueError(f"policy {path}:{name}: no such file")
    # A name that no installed module has, so that a file called json.py hides nothing.
    spec = importlib.util.spec_from_file_location(f"halflife_policy_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"policy {path}:{name}: the file fails with {type(error).__name__}: {error}"
        ) from None
    kinds = {
        key: kind
        for key, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, Policy) and kind is not Policy
    }
    if name not in kinds:
        listed = ", ".join(kinds) or "(none: a policy derives from sim.Policy)"
        raise ValueError(f"policy {path}:{name}: no such policy in the file, there are: {listed}")
    try:
        policy = kinds[name]()
    except Exception as error:
        raise ValueError(
            f"policy {path}:{name}: cannot be made without arguments: {type(error).__name__}: {error}"
        ) from None
    # Worker processes cannot import the file by name: let the class travel with the task.
    sys.modules[module.__name__] = module
    cloudpickle.register_pickle_by_value(module)
    return policy
