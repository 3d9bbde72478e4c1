import { defineWidget } from "../binding";
import { drawInspector } from "../components/inspector";
import { inspectorDefaults } from "../lib/state";

export default defineWidget("inspector", inspectorDefaults, (view) => {
  drawInspector(view.root, view);
});
