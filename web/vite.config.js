// Builds the review page into the Python package: three files, no source maps, names without a hash so that a build
// of the same source is the same bytes.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

/** SHA-256 of everything that the build is made from, so that a stale build is noticed without building. */
function fingerprint() {
  const listed = readdirSync("src", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).replaceAll("\\", "/"));
  const hash = createHash("sha256");
  for (const path of [...listed, "index.html", "package-lock.json", "vite.config.js"].sort()) {
    hash.update(`${path}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

const stamp = {
  name: "stamp",
  generateBundle() {
    this.emitFile({ type: "asset", fileName: "source.sha256", source: `${fingerprint()}\n` });
  },
};

export default defineConfig({
  base: "/static/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [stamp],
  build: {
    outDir: "../src/ethomorph/review/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
      },
    },
  },
});
