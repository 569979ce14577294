/** The contents of the package: the product, and pages for its users. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderInside } from './support/doc-examples.ts'

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

test('its declarations pass in a program that checks those of its libraries too', () => {
  const dir = folderInside()
  writeFileSync(
    join(dir, 'program.ts'),
    `import { start } from 'keelson'
import { startSimulated } from 'keelson/testing'
export const starts = [start, startSimulated]`,
  )
  const settings = { strict: true, module: 'nodenext', target: 'es2022', types: ['node'] }
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...settings, noEmit: true, skipLibCheck: false },
      files: ['program.ts'],
    }),
  )
  const check = () => execFileSync('node_modules/.bin/tsc', ['-p', dir], { encoding: 'utf8' })
  expect(check).not.toThrow()
})
