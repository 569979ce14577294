/** The reports of the public surface in `api`: a change of an exported name or type must change them too. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { lacks } from './support/lacks.ts'

const absent = existsSync('node_modules/@microsoft/api-extractor')
  ? undefined
  : 'API Extractor is not installed: npm ci'

test.skipIf(lacks(absent))(
  'the reports are those of the build; npm run api writes them',
  async () => {
    // It says which report differs, and what to do.
    const check = promisify(execFile)(process.execPath, ['scripts/api-report.mjs', '--check'])
    expect(
      await check.then(
        () => '',
        (error: { stderr: string }) => error.stderr,
      ),
    ).toBe('')
  },
)

test('each entry of the package has a report, and no other', () => {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: object }
  const entries = Object.keys(exports).filter((name) => name !== './package.json')
  const files = entries.map((name) => `${name === '.' ? 'keelson' : name.slice(2)}.api.md`)
  expect(readdirSync('api')).toEqual(files.sort())
})
