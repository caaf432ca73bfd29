"""Writes the rule graph of the default benchmark into docs/design.md: `python tools/rule_graph.py`.

Arrows that follow from others are left out.
"""

import re
import subprocess
import sys
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "design.md"
BLOCK = re.compile(r"```mermaid\n.*?```", flags=re.DOTALL)


def rule_graph(directory: Path) -> str:
    """The graph as a Mermaid block, planned in `directory`."""
    command = ["snakemake", "--rulegraph", "dot", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory)]
    dot = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', dot))
    edges = [(names[start], names[end]) for start, end in re.findall(r"(\d+) -> (\d+)", dot)]
    graph = nx.transitive_reduction(nx.DiGraph(edges))
    graph.remove_node("all")
    lines = sorted(f"    {start} --> {end}" for start, end in graph.edges)
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(rule_graph(ROOT), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
