import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The page is served below any path: all addresses are relative. Nothing is inlined: its CSP forbids that. */
export default defineConfig({
  root: fileURLToPath(new URL('src/dashboard/page', import.meta.url)),
  base: './',
  // Whatever NODE_ENV is: a test's build is the one that is published.
  mode: 'production',
  define: { 'process.env.NODE_ENV': JSON.stringify('production') },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact', development: false } },
  build: {
    outDir: fileURLToPath(new URL('dist/page', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1_000,
  },
});
