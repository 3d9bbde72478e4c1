import { drawFeaturesTab } from "../components/features_tab";
import { defineTokenWidget } from "../components/token_widget";
import { patchFeaturesDefaults } from "../lib/state";

export const drawTab = drawFeaturesTab;
export default defineTokenWidget("patch features", patchFeaturesDefaults, drawTab);
