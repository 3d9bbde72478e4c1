import { drawAttributionTab } from "../components/attribution_tab";
import { defineTokenWidget } from "../components/token_widget";
import { attributionsDefaults } from "../lib/state";

export const drawTab = drawAttributionTab;
export default defineTokenWidget("attributions", attributionsDefaults, drawTab);
