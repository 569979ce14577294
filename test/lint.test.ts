import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

type Diagnostic = { category: string; location: { start?: { line: number } } }

/** Lints a copy of the planted file with the project's own rules, in a folder where nothing excludes it. */
const lintPlanted = (): { lines: number[]; planted: string[] } => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-lint-'))
  try {
    const config = JSON.parse(readFileSync('biome.json', 'utf8'))
    writeFileSync(
      join(dir, 'biome.json'),
      JSON.stringify({ ...config, $schema: undefined, files: { includes: ['**'] } }),
    )
    cpSync('test/planted/floating-promises.ts', join(dir, 'floating-promises.ts'))
    const biome = join(process.cwd(), 'node_modules/.bin/biome')
    const run = spawnSync(biome, ['lint', '--reporter=json', '.'], { cwd: dir, encoding: 'utf8' })
    const report = JSON.parse(run.stdout) as { diagnostics: Diagnostic[] }
    return {
      lines: report.diagnostics
        .filter(({ category }) => category === 'lint/nursery/noFloatingPromises')
        .map(({ location }) => location.start?.line ?? 0),
      planted: readFileSync('test/planted/floating-promises.ts', 'utf8').split('\n'),
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

test('the linter finds each planted floating promise and none of the handled ones', () => {
  const { lines, planted } = lintPlanted()

  const found = lines.map((line) => planted[line - 1]?.trim())
  expect(found).toEqual(['answer()', "store.put('a')", 'answer().then((value) => value + 1)'])
})
