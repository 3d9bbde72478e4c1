"""What the tab of attributions runs for each thing that a person does: images counted."""

import vit_widgets as vw
from tests.benchmarks.report import heading, table


def main() -> None:
    """Count and print."""
    page = vw.inspect("demo", vw.demo.scenes(2, seed=2), tab="attention")
    page.wait()
    ran: list[int] = []
    page.model.module.register_forward_pre_hook(lambda _, given: ran.append(len(given[0])))
    margin = {"explained": ("margin", 4, 2)}
    steps: dict[str, dict[str, object]] = {
        "opened: ten maps, and sixteen tested": {"tab": "attribution"},
        "another map large": {"attribution_method": "relevance"},
        "a step of its curve": {"attribution_step": 5},
        "Grad-CAM of another layer": {
            "attribution_method": "grad_cam",
            "attribution_settings": {"grad_cam": {"layer": 2}},
        },
        "a margin": margin,
        "the predicted class again": {"explained": None},
    }
    rows = []
    for what, traits in steps.items():
        ran.clear()
        for name, value in traits.items():
            setattr(page, name, value)
        page.wait()
        rows.append((what, str(sum(ran)), str(len(ran))))
    page.close()
    heading("The tab of attributions, the demo model")
    table(("what", "images run", "forwards"), rows)


if __name__ == "__main__":
    main()
