// Bundles one ES module per widget and one style sheet into the Python package.
import { readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = join(here, "..", "vit_widgets", "static");
const budget = 150_000; // each file travels as a trait with every widget

const widgets = readdirSync(join(here, "src", "widgets"))
  .filter((name) => name.endsWith(".ts"))
  .sort();

const options = {
  absWorkingDir: join(here, ".."),
  entryPoints: [...widgets.map((name) => `js/src/widgets/${name}`), "js/src/style.css"].map(
    (path) => ({ in: path, out: basename(path).replace(/\.\w+$/, "") }),
  ),
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};

if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...options, logLevel: "info" });
  await context.watch();
} else {
  const { metafile } = await esbuild.build({ ...options, metafile: true });
  for (const path of Object.keys(metafile.outputs).sort()) {
    const { size } = await stat(join(here, "..", path));
    console.log(`${(size / 1000).toFixed(1).padStart(7)} kB  ${path}`);
    if (size > budget) throw new Error(`${path} is larger than ${budget / 1000} kB`);
  }
}
