/** The contents of the package: the product, and pages for its users. */
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('the package has no tests, no notes, and no maps or sources of keelson/testing', () => {
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as { files: { path: string }[] }[]
  const paths = packed?.files.map(({ path }) => path) ?? []

  expect(paths.filter((path) => /^(test|bench|examples|src\/testing)\//.test(path))).toEqual([])
  expect(paths.filter((path) => /^dist\/testing\/.*\.map$/.test(path))).toEqual([])
  expect(paths).toContain('dist/testing/index.js')
  expect(paths).toContain('dist/testing/index.d.ts')
  expect(paths).toContain('docs/getting-started.md')
})
