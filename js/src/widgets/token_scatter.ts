import { drawScatterTab } from "../components/scatter_tab";
import { defineTokenWidget } from "../components/token_widget";
import { tokenScatterDefaults } from "../lib/state";

export const drawTab = drawScatterTab;
export default defineTokenWidget("embedding", tokenScatterDefaults, drawTab);
