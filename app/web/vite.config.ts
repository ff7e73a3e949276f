import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/**
 * A catalogue in two halves: `x.ftl?start` is what a console starts with, `x.ftl?later` what stands below the
 * line that begins with `###`. Comments are for those who write it, not for browsers.
 */
const halves: Plugin = {
  name: 'catalogue-halves',
  enforce: 'pre',
  load(id) {
    const [, file, half] = /^(.*\.ftl)\?(start|later)$/.exec(id) ?? [];
    if (!file) return null;
    this.addWatchFile(file);
    const [start, later] = readFileSync(file, 'utf8').split(/^###.*$/m).map((part) => part.replace(/^#.*\n|^\n/gm, ''));
    return `export default ${JSON.stringify(half === 'start' ? start : (later ?? ''))}`;
  },
};

// Flask serves the build as static files; in development Vite passes the API and the socket on to it.
export default defineConfig({
  base: '/static/console/',
  plugins: [halves, svelte()],
  // Their sources instead of their bundles, from which the build cannot leave out what is unused.
  resolve: { alias: [{ find: /^@protomaps\/basemaps$/, replacement: '/node_modules/@protomaps/basemaps/src/index.ts' }, { find: /^pmtiles$/, replacement: '/node_modules/pmtiles/src/index.ts' }] },
  worker: { format: 'es' },
  build: {
    outDir: '../static/console',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0, // an inlined data: URL would need a looser content security policy
    chunkSizeWarningLimit: 1200, // the map library alone is over a megabyte before compression
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        chunkFileNames: (chunk) => `assets/${chunk.facadeModuleId?.endsWith('?later') ? 'later-' : ''}[name]-[hash].js`,
        // Alone in its file, the map library stays in the browser's cache when the console changes.
        codeSplitting: { groups: [{ name: 'maplibre', test: /node_modules[\\/](maplibre-gl|@maplibre|@mapbox|@vis\.gl|gl-matrix|earcut|kdbush|murmurhash|pbf|potpack|quickselect|tinyqueue)[\\/]/ }] },
      },
    },
  },
  server: {
    fs: { allow: ['..'] },
    proxy: {
      '/api': 'http://127.0.0.1:8080',
      '/socket.io': { target: 'http://127.0.0.1:8080', ws: true },
    },
  },
});
