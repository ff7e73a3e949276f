import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// Flask serves the build as static files; in development Vite passes the API and the socket on to it.
export default defineConfig({
  base: '/static/console/',
  plugins: [svelte()],
  worker: { format: 'es' },
  build: {
    outDir: '../static/console',
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0, // an inlined data: URL would need a looser content security policy
    chunkSizeWarningLimit: 1200, // the map library alone is over a megabyte before compression
    modulePreload: { polyfill: false },
  },
  server: {
    fs: { allow: ['..'] },
    proxy: {
      '/api': 'http://127.0.0.1:8080',
      '/socket.io': { target: 'http://127.0.0.1:8080', ws: true },
    },
  },
});
