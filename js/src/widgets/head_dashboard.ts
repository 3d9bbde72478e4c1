import { drawDashboardTab } from "../components/dashboard_tab";
import { defineTokenWidget } from "../components/token_widget";
import { headDashboardDefaults } from "../lib/state";

export const drawTab = drawDashboardTab;
export default defineTokenWidget("heads", headDashboardDefaults, drawTab);
