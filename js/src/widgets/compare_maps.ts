import { defineWidget } from "../binding";
import { drawComparePage } from "../components/compare_page";
import { compareMapsDefaults } from "../lib/state";

export default defineWidget("maps of several methods", compareMapsDefaults, drawComparePage);
