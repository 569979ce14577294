/** The types that follow from schemas of Zod, Valibot and ArkType: what must compile does, and nothing else. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

test('types follow from the schemas of three libraries', () => {
  mkdirSync('.tmp', { recursive: true })
  const dir = mkdtempSync(join('.tmp', 'library-schemas-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const config = join(dir, 'tsconfig.json')
  const include = [join(process.cwd(), 'test/planted/library-schemas.ts')]
  writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.json', include, exclude: [] }))

  const tsc = join('node_modules', '.bin', 'tsc')
  const { stdout, status } = spawnSync(tsc, ['-p', config, '--pretty', 'false'], {
    encoding: 'utf8',
  })
  expect([stdout, status]).toEqual(['', 0])
}, 120_000)
