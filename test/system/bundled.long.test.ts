/** A program that a bundler made of the built package, with and without the packages in it. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'rolldown'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'

const program = (dir: string): string => `
  import { start } from 'keelson'
  start({ dir: ${JSON.stringify(join(dir, 'data'))} }).then(
    async (app) => {
      await app.store.put('a', 1)
      await app.close()
      console.log('stored')
    },
    (error) => console.log(error.code, error.details.path),
  )`

test.each([
  ['cjs', 'with the packages in it', 'CONFIG package'],
  ['esm', 'with the packages in it', 'CONFIG package'],
  ['esm', 'without them', 'stored'],
] as const)('a bundle (%s) %s says: %s', async (format, packages, said) => {
  const dir = tempFolder()
  const file = join(dir, 'app.js')
  writeFileSync(file, program(dir))
  writeFileSync(join(dir, 'package.json'), '{ "name": "app" }')
  const keelson = resolve('dist/index.js')
  const bundle = join(dir, 'out', format === 'cjs' ? 'app.cjs' : 'app.mjs')

  await build({
    ...{ input: file, platform: 'node', logLevel: 'silent', tsconfig: false },
    ...(packages === 'without them'
      ? { external: (id) => id === 'keelson', output: { file: bundle, format, paths: { keelson } } }
      : {
          resolve: { alias: { keelson } },
          output: { file: bundle, format, inlineDynamicImports: true },
        }),
  })
  const { stdout } = await promisify(execFile)(process.execPath, [bundle], { cwd: dir })

  expect(stdout.trim()).toBe(said)
})
