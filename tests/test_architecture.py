"""The house of docs/ARCHITECTURE.md, enforced by reading the imports; planted faults show that it is."""

import ast
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LADDER = ["mlflow_runs", "dashboard", "layouts", "callbacks", "app"]
PAGE_ROOMS = ("callbacks", "layouts", "dashboard.reports")
PAGES = frozenset({"overview", "data", "performance", "inference", "serving"})
ENGINE_ROOM = ("dashboard.inference",)
ROOMS = {
    "mlflow": ("mlflow_runs", "dashboard.inference.loading"),
    "plotly": ("layouts",),
    "dash": (
        "app",
        "callbacks",
        "layouts",
        "dashboard.server",
        "dashboard.embed_routes",
        "dashboard.static_files",
        "dashboard.jobs",
        "dashboard.job_server",
    ),
    "celery": ("dashboard.celery_desk", "dashboard.celery_worker"),
    "redis": ("dashboard.celery_desk", "dashboard.celery_worker"),
    "prometheus_client": ("dashboard.telemetry",),
    "dash_bootstrap_components": ("layouts",),
    "diskcache": ("dashboard.cache", "dashboard.jobs", "dashboard.job_server"),
    "duckdb": ("dashboard.metrics",),
    "torch": (*ENGINE_ROOM, "mlflow_runs.demo"),
    "mosec": ENGINE_ROOM,
    "captum": ENGINE_ROOM,
    "ray": ("dashboard.inference.ray_app",),
    "onnxruntime": ENGINE_ROOM,
    "sqlglot": ("dashboard.metrics.filters", "dashboard.metrics.sibling"),
    "pyspark": ("dashboard.metrics.sibling",),
    "sqlalchemy": ("dashboard.state", "dashboard.flags", "dashboard.embedding"),
}
NOT_IN_WEB = frozenset({"mlflow", "torch", "mosec", "captum", "onnxruntime"})
FORBIDDEN_NAMES = frozenset({"utils", "helpers", "common"})


@dataclass
class Module:
    """One source file: its dotted name, its tree and every import in it, function bodies included."""

    name: str
    path: Path
    tree: ast.Module
    imports: set[str] = field(default_factory=set)


def modules(root: Path) -> dict[str, Module]:
    """Every source module below `root`, by dotted name."""
    files = [root / "app.py", *(p for room in LADDER[:-1] for p in (root / room).rglob("*.py"))]
    found = {}
    for path in files:
        if not path.exists():
            continue
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, path, ast.parse(path.read_text()))
    for module in found.values():
        module.imports = set(_imports(module.tree, found))
    return found


def _imports(tree: ast.Module, known: dict[str, Module]) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules_named = [name for name in inner if name in known]
            names += modules_named or [node.module]
    return names


def _within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def arrows(found: dict[str, Module]) -> list[str]:
    """Imports that point up the ladder."""
    level = {room: i for i, room in enumerate(LADDER)}
    return [
        f"{module.name} imports {target}: an arrow that points up"
        for module in found.values()
        for target in module.imports
        if target.split(".")[0] in level and level[target.split(".")[0]] > level[module.name.split(".")[0]]
    ]


def strangers(found: dict[str, Module]) -> list[str]:
    """Libraries outside their rooms."""
    return [
        f"{module.name} imports {target.split('.')[0]}, which lives in {', '.join(ROOMS[target.split('.')[0]])}"
        for module in found.values()
        for target in module.imports
        if target.split(".")[0] in ROOMS and not _within(module.name, ROOMS[target.split(".")[0]])
    ]


def _page(name: str) -> str | None:
    room, _, stem = name.rpartition(".")
    return stem if room in PAGE_ROOMS and stem in PAGES else None


def crossings(found: dict[str, Module]) -> list[str]:
    """Page files that import another page's files."""
    return [
        f"{module.name} imports {target}: pages do not import each other"
        for module in found.values()
        for target in module.imports
        if _page(module.name) and _page(target) and _page(module.name) != _page(target)
    ]


def bad_names(found: dict[str, Module]) -> list[str]:
    """Files named after nothing, and __init__ files that hold something."""
    vague = [f"{m.name}: name the file by its content" for m in found.values() if m.path.stem in FORBIDDEN_NAMES]
    full = [f"{m.path}: __init__ is not empty" for m in found.values() if m.path.name == "__init__.py" and m.tree.body]
    return vague + full


def effects(found: dict[str, Module]) -> list[str]:
    """Statements that do something when a file is imported, and mutable state at module level."""
    return [
        f"{module.name}:{node.lineno} {complaint}"
        for module in found.values()
        if module.path.name != "__main__.py"
        for node in module.tree.body
        if (complaint := _effect(node))
    ]


def _effect(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        return "runs at import"
    if isinstance(node, ast.For | ast.While | ast.With | ast.Try):
        return "runs at import"
    decorators = getattr(node, "decorator_list", [])
    if any("callback" in ast.unparse(d) for d in decorators):
        return "registers a callback at import"
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List | ast.Dict | ast.Set):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if ast.unparse(target) != ast.unparse(target).upper():
            return f"{ast.unparse(target)} is mutable state"
    return None


def heavy_in_web(found: dict[str, Module]) -> list[str]:
    """Ways by which a web worker or a job process would import mlflow, torch or an engine library."""
    reached: dict[str, str] = {name: name for name in found if _within(name, ("app", "callbacks", "layouts"))}
    queue = list(reached)
    while queue:
        for target in found[queue.pop()].imports:
            if target in found and target not in reached:
                reached[target] = target
                queue.append(target)
    return [
        f"{name} is part of the web worker and imports {target}"
        for name in reached
        for target in found[name].imports
        if target.split(".")[0] in NOT_IN_WEB
    ]


def missing_columns(found: dict[str, Module]) -> list[str]:
    """Pages that lack one of their three files."""
    return [f"{room}.{page} is missing" for page in PAGES for room in PAGE_ROOMS if f"{room}.{page}" not in found]


def lost_tests(root: Path) -> list[str]:
    """Test files that mirror no source file."""
    lost = []
    for path in (root / "tests").rglob("test_*.py"):
        place = path.relative_to(root / "tests")
        stem = place.stem.removeprefix("test_")
        source = root / place.parent / stem
        free = place.parts[0] in ("browser", "bench") or len(place.parts) == 1
        if not free and not source.with_suffix(".py").exists() and not source.is_dir():
            lost.append(f"tests/{place} mirrors no source file")
    return lost


def violations(root: Path) -> list[str]:
    """Everything that is wrong with the house at `root`."""
    found = modules(root)
    rules = (arrows, strangers, crossings, bad_names, effects, heavy_in_web, missing_columns)
    return [text for rule in rules for text in rule(found)] + lost_tests(root)


def test_the_house_is_in_order():
    assert violations(ROOT) == []


def _house(root: Path) -> Path:
    files = ["app.py", *(f"{room.replace('.', '/')}/{page}.py" for room in PAGE_ROOMS for page in PAGES)]
    for name in [*files, "mlflow_runs/store.py", "dashboard/inference/loading.py"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('"""A room."""\n')
    (root / "tests").mkdir()
    return root


def test_an_orderly_house_has_no_violations(tmp_path):
    assert violations(_house(tmp_path)) == []


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        ("dashboard/x.py", "from layouts import overview", "points up"),
        ("mlflow_runs/x.py", "def f():\n    import dashboard.x", "points up"),
        ("dashboard/x.py", "import dash", "dash, which lives in"),
        ("callbacks/x.py", "import mlflow", "mlflow, which lives in"),
        ("layouts/x.py", "import duckdb", "duckdb, which lives in"),
        ("callbacks/data.py", "from layouts import overview", "do not import each other"),
        ("layouts/utils.py", "", "by its content"),
        ("layouts/__init__.py", "from layouts import data", "not empty"),
        ("layouts/x.py", "print('hello')", "runs at import"),
        ("callbacks/x.py", "import dash\n@dash.callback(1)\ndef f(): ...", "registers a callback"),
        ("dashboard/x.py", "seen = {}", "mutable state"),
        ("callbacks/x.py", "from dashboard.inference import loading", None),
        ("dashboard/inference/loading.py", "def f():\n    import torch", None),
        ("tests/dashboard/test_nothing.py", "", "mirrors no source file"),
    ],
)
def test_a_planted_fault_is_found(tmp_path, place, text, complaint):
    path = _house(tmp_path) / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = violations(tmp_path)
    assert any(complaint in line for line in found) if complaint else found == []


def test_heavy_libraries_are_found_behind_several_doors(tmp_path):
    root = _house(tmp_path)
    (root / "callbacks/x.py").write_text("from dashboard import y")
    (root / "dashboard/y.py").write_text("from dashboard.inference import loading")
    (root / "dashboard/inference/loading.py").write_text("def f():\n    import torch")
    assert violations(root) == ["dashboard.inference.loading is part of the web worker and imports torch"]


def test_a_missing_column_is_found(tmp_path):
    root = _house(tmp_path)
    (root / "layouts/data.py").unlink()
    assert violations(root) == ["layouts.data is missing"]
