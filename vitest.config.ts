import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["js/tests/**/*.test.ts"],
    environment: "node",
    // one signal ends everything in a view: many listeners on it are meant
    execArgv: ["--disable-warning=MaxListenersExceededWarning"],
  },
});
