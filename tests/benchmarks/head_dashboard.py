"""What the page of heads runs: forwards of the model and evaluations of its blocks, counted.

The bundled model, 8 scenes. A number, a class of pixels or a cluster that is looked at runs
nothing; a class of the model costs one forward and one backward; what is silenced costs what the
page says that it does.
"""

import vit_widgets as vw
from tests.benchmarks.report import heading, table


def main() -> None:
    """Count and print."""
    scenes = vw.demo.scenes(8, seed=0)
    page = vw.inspect("demo", [scene.image for scene in scenes], tab="heads")
    page.wait()
    module = page.model.module
    forwards: list[int] = []
    blocks: list[int] = []
    module.register_forward_pre_hook(lambda *_: forwards.append(1))
    for block in module.blocks:
        # what is resumed hands on what a block returned before; its feed-forward part tells
        block.mlp.register_forward_hook(lambda _mlp, args, _output: blocks.append(len(args[0])))
    mask = scenes[0].mask.reshape(12, -1, 12, scenes[0].mask.shape[1] // 12).mean(axis=(1, 3)) > 0.5
    changes = [
        ("another number", {"heads_number": "distance", "heads_up": "entropy"}),
        ("another layer, head, token", {"layer": 1, "head": 4, "query": 50}),
        ("another number of clusters", {"heads_k": 6}),
        ("an object is drawn", {"token_mask": {"image_index": 0, "values": mask}}),
        ("heads are selected", {"heads_selected": [(1, 0), (4, 3)]}),
        ("another class", {"explained": 3}),
        ("screen", {"heads_running": "screen"}),
        ("exact", {"heads_running": "exact"}),
        ("exact again", {"heads_running": "exact"}),
    ]
    rows = []
    for name, change in changes:
        forwards.clear()
        blocks.clear()
        for trait, value in change.items():
            setattr(page, trait, value)
        page.wait()
        said = page.heads_importance["evaluations"] if name in ("screen", "exact") else "–"
        rows.append([name, len(forwards), sum(blocks), said])
    heading("The page of heads, bundled model, 36 heads, one image in view: counts, not times")
    table(["change", "calls of the model", "blocks x rows", "blocks, as the page says"], rows)


if __name__ == "__main__":
    main()
