/** Copies of the sources with some text replaced, and the seeds that are lived on them. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Finding } from './probe.ts'

const run = promisify(execFile)

/** The one place with `from` in a file becomes `to`. */
export type Replacement = { readonly file: string; readonly from: string; readonly to: string }

/** Real time in which a child has to be done. Beyond it a seed does not end. */
const limitMs = 120_000

/** The file with its replacements. @throws Error if one has not one place */
export const replaced = (file: string, text: string, of: readonly Replacement[]): string =>
  of.reduce((before, { from, to }) => {
    if (before.split(from).length !== 2) throw new Error(`${file} has no one place with: ${from}`)
    return before.replace(from, () => to)
  }, text)

/** Lives seeds on the sources with replacements, and says how the first one failed. */
export const tried = async (
  name: string,
  replacements: readonly Replacement[],
  life: string,
  seeds: readonly number[],
): Promise<Finding> => {
  const dir = resolve('.tmp', 'kindness', name)
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  try {
    for (const part of ['src', 'test/support', 'tsconfig.json'])
      cpSync(part, join(dir, part), { recursive: true })
    for (const file of new Set(replacements.map((each) => each.file))) {
      const own = replacements.filter((each) => each.file === file)
      writeFileSync(join(dir, file), replaced(file, readFileSync(file, 'utf8'), own))
    }
    symlinkSync(resolve('package.json'), join(dir, 'package.json'))
    const compilerOptions = { noEmit: false, noCheck: true, rootDir: '.', outDir: 'out' }
    const probe = 'test/support/kindness/probe.ts'
    const config = { extends: './tsconfig.json', compilerOptions, files: [probe], include: [] }
    writeFileSync(join(dir, 'trial.json'), JSON.stringify(config))
    await run('npx', ['tsc', '-p', join(dir, 'trial.json')])
    const child = join(dir, 'out', 'test/support/kindness/probe.js')
    return await run(process.execPath, [child, life, ...seeds.map(String)], {
      timeout: limitMs,
    }).then(
      ({ stdout }) => JSON.parse(stdout) as Finding,
      ({ killed, message }: { killed?: boolean; message: string }) => ({
        error: killed ? `no end within ${limitMs} ms` : message,
      }),
    )
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
