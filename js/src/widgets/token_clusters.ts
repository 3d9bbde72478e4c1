import { drawClustersTab } from "../components/clusters_tab";
import { defineTokenWidget } from "../components/token_widget";
import { tokenClustersDefaults } from "../lib/state";

export const drawTab = drawClustersTab;
export default defineTokenWidget("clusters of patches", tokenClustersDefaults, drawTab);
