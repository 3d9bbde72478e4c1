import { defineTokenWidget } from "../components/token_widget";
import { drawViewsTab } from "../components/views_tab";
import { tokenViewsDefaults } from "../lib/state";

export const drawTab = drawViewsTab;
export default defineTokenWidget("token views", tokenViewsDefaults, drawTab);
