import { defineWidget } from "../binding";
import { drawMapGrid } from "../components/map_grid";
import { compareMapsDefaults } from "../lib/state";

export default defineWidget("maps of several methods", compareMapsDefaults, (view) =>
  drawMapGrid(view.root, view),
);
