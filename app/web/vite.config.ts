import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// Flask serves the build as static files; in development Vite passes the API and the socket on to it.
export default defineConfig({
  base: '/static/console/',
  plugins: [svelte()],
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
