import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The console: built to `dist/console`, which the API serves; in development it forwards to the API at SLIPWAY_URL. */
export default defineConfig(({ command }) => {
  // A build is for readers whoever runs it: under a test runner's NODE_ENV it would hold React's development half.
  if (command === 'build') process.env['NODE_ENV'] = 'production';
  return {
    root: fileURLToPath(new URL('.', import.meta.url)),
    plugins: [react()],
    build: {
      outDir: fileURLToPath(new URL('../dist/console', import.meta.url)),
      emptyOutDir: true,
      manifest: true,
      target: 'es2023',
      // A data: URL would need a wider content security policy for fonts and scripts.
      assetsInlineLimit: 0,
    },
    server: {
      host: '127.0.0.1',
      proxy: { '/v1': { target: process.env['SLIPWAY_URL'] ?? 'http://127.0.0.1:8080' } },
    },
  };
});
