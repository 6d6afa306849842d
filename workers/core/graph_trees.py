"""Gradient-boosted trees as one TreeEnsembleRegressor node of the model file."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.specs import Task
from workers.core.graph_nodes import Graph
from workers.core.predictor import TreeMember


def add_trees(graph: Graph, member: TreeMember, matrix: str, *, task: Task) -> str:
    """Probabilities [rows, classes] or deviations [rows, 1] for `matrix` [rows, D]."""
    targets = member.classes if task is Task.MULTICLASS else 1
    nodes = _Nodes()
    for booster in member.boosters:
        for tree in booster.dump_model()["tree_info"]:
            scale = 1.0 / len(member.boosters)
            nodes.add_tree(tree["tree_structure"], target=tree["tree_index"] % targets, scale=scale)
    raw = graph.add(
        "TreeEnsembleRegressor",
        matrix,
        out="",
        domain="ai.onnx.ml",
        **{"n_targets": targets, "aggregate_function": "SUM", "post_transform": "NONE", **nodes.attributes},
    )
    match task:
        case Task.REGRESSION:
            return raw
        case Task.BINARY:
            positive = graph.add("Sigmoid", raw)
            negative = graph.add("Sub", graph.constant(np.array(1.0, dtype=np.float32)), positive)
            return graph.concat([negative, positive])
        case Task.MULTICLASS:
            return graph.add("Softmax", raw, axis=1)


@dataclass
class _Nodes:
    """The attributes of the operator, filled tree by tree."""

    attributes: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    trees: int = 0
    nodes: int = 0

    def add_tree(self, root: dict[str, Any], *, target: int, scale: float) -> None:
        self.nodes = 0
        self._add(root, target, scale)
        self.trees += 1

    def _add(self, node: dict[str, Any], target: int, scale: float) -> int:
        """Adds a node and all below it; returns its number."""
        if "leaf_value" in node:
            number = self._place("LEAF", 0, 0.0, missing_left=False)
            a = self.attributes
            a["target_treeids"].append(self.trees)
            a["target_nodeids"].append(number)
            a["target_ids"].append(target)
            a["target_weights"].append(float(node["leaf_value"]) * scale)
            return number
        if node["decision_type"] == "==":
            return self._add_words(node, target, scale)
        threshold = float(node["threshold"])
        # LightGBM reads a NaN as zero where training had none.
        left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
        number = self._place("BRANCH_LEQ", int(node["split_feature"]), _as_float32(threshold), missing_left=left)
        self._link(number, self._add(node["left_child"], target, scale), self._add(node["right_child"], target, scale))
        return number

    def _add_words(self, node: dict[str, Any], target: int, scale: float) -> int:
        """A split by a set of codes: one node asks for each of them, and all that are met lead to the same place."""
        codes = [float(code) for code in str(node["threshold"]).split("||")]
        feature = int(node["split_feature"])
        numbers = [self._place("BRANCH_EQ", feature, code, missing_left=False) for code in codes]
        met = self._add(node["left_child"], target, scale)
        unmet = self._add(node["right_child"], target, scale)
        for number, after in zip(numbers, [*numbers[1:], unmet], strict=True):
            self._link(number, met, after)
        return numbers[0]

    def _place(self, mode: str, feature: int, value: float, *, missing_left: bool) -> int:
        number, self.nodes = self.nodes, self.nodes + 1
        a = self.attributes
        a["nodes_treeids"].append(self.trees)
        a["nodes_nodeids"].append(number)
        a["nodes_modes"].append(mode)
        a["nodes_featureids"].append(feature)
        a["nodes_values"].append(value)
        a["nodes_hitrates"].append(1.0)
        a["nodes_missing_value_tracks_true"].append(int(missing_left))
        a["nodes_truenodeids"].append(0)
        a["nodes_falsenodeids"].append(0)
        return number

    def _link(self, number: int, met: int, unmet: int) -> None:
        place = len(self.attributes["nodes_treeids"]) - self.nodes + number
        self.attributes["nodes_truenodeids"][place] = met
        self.attributes["nodes_falsenodeids"][place] = unmet


def _as_float32(threshold: float) -> float:
    """The largest float32 up to the threshold: `x <= threshold` is the same question of any float32."""
    with np.errstate(over="ignore"):
        rounded = np.float32(threshold)
    return float(rounded if float(rounded) <= threshold else np.nextafter(rounded, np.float32(-np.inf)))
