import { drawDepthTab } from "../components/depth_tab";
import { defineTokenWidget } from "../components/token_widget";
import { tokenDepthDefaults } from "../lib/state";

export const drawTab = drawDepthTab;
export default defineTokenWidget("norms and layers", tokenDepthDefaults, drawTab);
