import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // A machine that is slow, or busy, is no failure.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // `.ci/run` counts from the file.
    reporters: process.env.CI ? ['default', 'json'] : ['default'],
    outputFile: { json: '.tmp/test-results.json' },
  },
})
