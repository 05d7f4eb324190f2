"""The heavy worker's task "compare": one PyTorch model through eager, compiled and ONNX Runtime, checked and timed."""

import gc
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dashboard.errors import BadInput
from dashboard.inference.attempt import Attempt
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.loading import as_outputs, chosen_device
from dashboard.inference.onnx_export import export
from dashboard.inference.onnx_variant import keep_verdict, open_session, providers, run_session, variant_folder
from dashboard.inference.outputs import predictions
from dashboard.inference.predictor import Loaded
from dashboard.inference.protocol import Array, Tensors
from dashboard.inference.speed import race
from dashboard.inference.speed_report import ABSOLUTE, BATCHES, RELATIVE, TAG, Comparison, EngineResult, versions
from dashboard.inference.worker import load_by_id
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable, StoreUnavailable
from mlflow_runs.index import RunIndex
from mlflow_runs.models import folder_bytes, model_client, trim
from mlflow_runs.run_tags import set_run_tag

Tell = Callable[[str, float], None]
Answer = Callable[[Sequence[Array]], Tensors]
EAGER, COMPILED = "PyTorch eager", "torch.compile"
_CHECKED_ROWS = 32


@dataclass
class Contest:
    """One comparison under way: the model, its inputs as positional arrays, the engines that take part."""

    card: ModelCard
    module: torch.nn.Module
    device: str
    threads: int
    folder: Path
    arrays: list[Array]
    names: list[str] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    results: dict[str, EngineResult] = field(default_factory=dict)

    def enter(self, name: str, prepare: Callable[[], Answer], spent: float = 0.0) -> None:
        """Prepare an engine and check its answers against eager; what fails is noted as the reason it was skipped.

        `spent` are the seconds that went into its preparation before.
        """
        started, result = time.perf_counter() - spent, EngineResult(name)
        with Attempt() as attempt:
            answer = prepare()
            found = self._through(answer)
            self._sized(answer)
            result = self._judged(EngineResult(name, ready_s=time.perf_counter() - started), found)
            self.answers[name] = answer
        if attempt.error is not None:
            result = EngineResult(name, skipped=_reason(attempt.error))
        self.results[name] = result

    def eager(self) -> Answer:
        """The module as it is."""
        answer = _torch_answer(self.module, self.device)
        self._expected = self._through(answer)
        self.names = list(self._expected)
        return answer

    def compiled(self) -> Answer:
        """The module through torch.compile; ModelUnavailable where no compiler is installed."""
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            raise ModelUnavailable("torch.compile needs a C++ compiler (c++, g++ or clang++); none is installed here.")
        return _torch_answer(torch.compile(self.module, dynamic=True), self.device)

    def onnx(self, provider: str) -> Answer:
        """The exported file through ONNX Runtime."""
        session = open_session(self.folder / "model.onnx", provider, self.threads)
        return lambda arrays: run_session(session, self.names, arrays)

    def batch(self, rows: int) -> list[Array]:
        """That many rows, the inputs repeated as often as needed."""
        return [np.resize(array, (rows, *array.shape[1:])) for array in self.arrays]

    def _through(self, answer: Answer) -> Tensors:
        parts = [
            answer([array[start : start + _CHECKED_ROWS] for array in self.arrays])
            for start in range(0, len(self.arrays[0]), _CHECKED_ROWS)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _sized(self, answer: Answer) -> None:
        """Raise ModelUnavailable where the engine takes another number of rows only, or answers with another."""
        for rows in BATCHES:
            with Attempt() as attempt:
                given = {len(array) for array in answer(self.batch(rows)).values()}
                if given != {rows}:
                    raise ModelUnavailable(f"it answered with {sorted(given)} rows")
            if attempt.error is not None:
                raise ModelUnavailable(f"It does not take {rows} rows at a time: {_reason(attempt.error)}")

    def _judged(self, result: EngineResult, found: Tensors) -> EngineResult:
        expected, n = self._expected, len(self.arrays[0])
        gaps = [np.abs(found[name].astype(np.float64) - expected[name]) for name in expected]
        close = all(np.allclose(found[k], expected[k], rtol=RELATIVE, atol=ABSOLUTE) for k in expected)
        ours, theirs = (predictions(self.card, outputs, {}, n) for outputs in (found, expected))
        classes = theirs[0].label is not None
        agreed = sum(a.label == b.label for a, b in zip(ours, theirs, strict=True)) if classes else None
        equal = close and agreed in (None, n)
        return replace(result, n=n, difference=float(max(g.max() for g in gaps)), agreed=agreed, equal=equal)


def compare_engines(
    settings: Settings, arguments: Mapping[str, Any], tensors: Tensors, tell: Tell
) -> tuple[dict[str, Any], Tensors]:
    """Compare the engines for the run's model on these inputs; the record is the answer's `result`.

    `arguments` are the run's id and in words the source of the inputs. Raises ModelUnavailable for a model that is
    not PyTorch's. What one engine cannot do is told in its result.
    """
    started = time.time()
    tell("Loading the model", 0.02)
    contest = _prepared(settings, str(arguments["run"]), tensors)
    contest.enter(EAGER, contest.eager)
    if problem := contest.results[EAGER].skipped:
        raise ModelUnavailable(f"The model does not answer its own inputs, so there is nothing to compare: {problem}")
    tell("Exporting to ONNX", 0.08)
    exporting = time.perf_counter()
    size, problem = _exported(contest)
    spent = time.perf_counter() - exporting
    trim(settings.folder("onnx"), settings.artifact_cache_mb * 2**20, keep=contest.folder)
    for provider in providers():
        tell(f"Checking ONNX Runtime ({_short(provider)})", 0.35)
        contest.enter(f"ONNX Runtime, {_short(provider)}", partial(_onnx, contest, provider, problem), spent)
    tell("Compiling with torch.compile", 0.4)
    contest.enter(COMPILED, contest.compiled)
    runners = {name: _repeated(contest, answer) for name, answer in contest.answers.items()}
    timings = race(runners, BATCHES, tell=lambda share: tell("Measuring", 0.6 + 0.4 * share))
    engines = tuple(replace(item, timings=timings.get(name, ())) for name, item in contest.results.items())
    _keep_verdict(contest, engines)
    comparison = Comparison(
        model_id=contest.card.model_id, run_id=contest.card.run_id, device=contest.device,
        hardware=hardware(contest.device), threads=contest.threads, versions=versions(),
        source=str(arguments.get("source", "")), n=len(contest.arrays[0]), made=time.time(),
        seconds=time.time() - started, onnx_bytes=size, engines=engines,
    )  # fmt: skip
    torch._dynamo.reset()
    gc.collect()
    return {"result": _kept(settings, comparison).to_json()}, {}


def _prepared(settings: Settings, run_id: str, tensors: Tensors) -> Contest:
    index = RunIndex(settings.data_dir / "index.db")
    card = model_card(index.run(run_id))
    index.close()
    if not tensors:
        raise BadInput("The comparison was given no inputs; at least one is needed.")
    device = chosen_device(settings.device)
    loaded = load_by_id(settings.model_copy(update={"serve_onnx": False}), device, card.model_id)
    if loaded.module is None:
        raise ModelUnavailable(
            f"{card.name} is a model of flavour {loaded.flavor}; only PyTorch models are exported and compared."
        )
    arrays = _positional(loaded, tensors)
    folder = variant_folder(settings, card.model_id)
    return Contest(card, loaded.module, device, torch.get_num_threads(), folder, arrays)


def _positional(loaded: Loaded, tensors: Tensors) -> list[Array]:
    """What the loader really hands to the module for these inputs: it alone knows how columns become tensors."""
    seen: list[tuple[torch.Tensor, ...]] = []
    module = loaded.module
    if module is None:
        return []
    hook = module.register_forward_pre_hook(lambda _, args: seen.append(args))
    try:
        loaded.run(tensors, {})
    finally:
        hook.remove()
    return [tensor.cpu().numpy() for tensor in seen[0]]


def _exported(contest: Contest) -> tuple[int, str]:
    """Size of the exported files in bytes and "", or 0 and why there are none."""
    shutil.rmtree(contest.folder)
    contest.folder.mkdir(mode=0o700)
    example = [
        torch.from_numpy(array).to(contest.device) for array in contest.batch(max(2, min(4, len(contest.arrays[0]))))
    ]
    with Attempt() as attempt:
        export(contest.module, example, contest.folder / "model.onnx")
    return (0, _reason(attempt.error)) if attempt.error is not None else (folder_bytes(contest.folder), "")


def _onnx(contest: Contest, provider: str, problem: str) -> Answer:
    if problem:
        raise ModelUnavailable(problem)
    return contest.onnx(provider)


def _torch_answer(module: Callable[..., Any], device: str) -> Answer:
    def answer(arrays: Sequence[Array]) -> Tensors:
        with torch.inference_mode():
            return as_outputs(module(*(torch.from_numpy(array).to(device) for array in arrays)))

    return answer


def _repeated(contest: Contest, answer: Answer) -> Callable[[int], object]:
    ready = {rows: contest.batch(rows) for rows in BATCHES}
    return lambda rows: answer(ready[rows])


def _keep_verdict(contest: Contest, engines: Sequence[EngineResult]) -> None:
    wanted = "CUDA" if contest.device.startswith("cuda") else "CPU"
    onnx = next((item for item in engines if item.name == f"ONNX Runtime, {wanted}"), None)
    keep_verdict(contest.folder, bool(onnx and onnx.equal), contest.names, contest.card.columns)


def _kept(settings: Settings, comparison: Comparison) -> Comparison:
    """The comparison with a note where the store would not keep it."""
    try:
        set_run_tag(model_client(settings.store_uri), comparison.run_id, TAG, comparison.to_json())
    except StoreUnavailable as exc:
        return replace(comparison, note=f"Kept here only: {exc}.")
    return comparison


def hardware(device: str) -> str:
    """The name of the device: the GPU's, else the processor's with the number of cores this process may use."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, (ModelUnavailable, BadInput)) else f"{type(error).__name__}: {text}"
