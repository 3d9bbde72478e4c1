import { defineWidget } from "../binding";
import { drawInspector } from "../components/inspector";
import { withAttention } from "../components/view";
import { inspectorDefaults } from "../lib/state";

export default defineWidget("inspector", inspectorDefaults, (view) => {
  drawInspector(view.root, withAttention(view));
});
