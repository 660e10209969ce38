import { defineConfig } from 'vite';

/** Loaded as they lie: the engine's and SQLite's libraries, and packages that read files of their own. */
const AS_THEY_LIE = ['chdb', 'libsql', 'pg-native', 'jiti', 'pino', '@fastify/swagger-ui', '@fastify/static'];

/**
 * The program in a few files: to find and read fourteen hundred modules takes as long as all else that a start does. All
 * lie in one directory beside `dist/web`, which is found from there; `bin/built.cjs` hands them out.
 */
export default defineConfig({
  ssr: { noExternal: true, external: AS_THEY_LIE },
  build: {
    ssr: true,
    outDir: 'dist/app',
    emptyOutDir: true,
    target: 'node20',
    minify: false,
    rollupOptions: {
      input: {
        main: 'src/cli/main.ts',
        'table-reader': 'src/cli/table-reader.ts',
        millrace: 'src/millrace.ts',
        config: 'src/config.ts',
        // For tests that put something around the program's files and clock.
        clock: 'src/base/clock.ts',
        files: 'src/base/files.ts',
      },
      output: { entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
    },
  },
});
