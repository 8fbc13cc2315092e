"""Figures of labels and numbers, by scikit-learn's definitions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from throughtime.tasks.task import Evaluation


def class_figures(
    log_probs: np.ndarray, targets: np.ndarray, labels: Sequence[str]
) -> Evaluation:
    """Accuracy, F1 averaged over the classes that occur, and cross entropy.

    Args:
        log_probs: log P of each label, (N, K).
        targets: the right ones, (N,); below 0: unknown.
        labels: their names, (K,).
    """
    known = targets >= 0
    return _label_figures(
        log_probs.argmax(1), targets, labels, _loss(log_probs[known], targets[known])
    )


def label_figures(
    answers: Sequence[str], targets: Sequence[str | None], labels: Sequence[str]
) -> Evaluation:
    """The same of answers without probabilities, given as labels."""
    index = {label: i for i, label in enumerate(labels)}
    found = np.array([index[answer] for answer in answers])
    right = np.array([-1 if t is None else index.get(str(t), -1) for t in targets])
    return _label_figures(found, right, labels, None)


def _loss(log_probs: np.ndarray, targets: np.ndarray) -> float:
    if not len(targets):
        return float("nan")
    return float(-log_probs[np.arange(len(targets)), targets].mean())


def _label_figures(
    answers: np.ndarray, targets: np.ndarray, labels: Sequence[str], loss: float | None
) -> Evaluation:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    known = targets >= 0
    details: dict[str, Any] = {"answers": answers, "targets": targets}
    if not known.any():
        return Evaluation({"accuracy": float("nan")}, details)
    right, found = targets[known], answers[known]
    figures = {"accuracy": float(accuracy_score(right, found))}
    figures["F1"] = float(
        f1_score(right, found, average="macro", labels=np.unique(right))
    )
    if loss is not None:
        figures["loss"] = loss
    order = list(range(len(labels)))
    details["confusion"] = confusion_matrix(right, found, labels=order)
    return Evaluation(figures, details)


def number_figures(answers: np.ndarray, targets: np.ndarray) -> Evaluation:
    """Root mean square and mean absolute error, and the share of variance explained.

    Args:
        answers: (N,).
        targets: (N,), NaN where unknown.
    """
    from sklearn.metrics import r2_score

    known = ~np.isnan(targets)
    error = (answers - targets)[known]
    figures = {
        "RMSE": float(np.sqrt(np.mean(error**2))) if len(error) else float("nan"),
        "MAE": float(np.abs(error).mean()) if len(error) else float("nan"),
    }
    if len(error) > 1:
        figures["R²"] = float(r2_score(targets[known], answers[known]))
    return Evaluation(figures, {"answers": answers, "targets": targets})
