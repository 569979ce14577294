/**
 * A build of a later version, which reads and writes a feature of logs that this one does not know: the same sources with
 * another list of features. It shows how members of two versions live side by side.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The parts of the project that its build and its examples need. */
const parts = [
  ...['src', 'scripts', 'examples', 'build.mjs'],
  ...['package.json', 'tsconfig.json', 'tsconfig.build.json'],
] as const

const known = 'export const knownFeatures = 0\n'
const file = 'src/storage/ports/log-host.ts'

/** Makes the later version in the folder `into`, and returns its path. */
export const nextBuild = (into: string, root = '.'): string => {
  for (const part of parts) cpSync(join(root, part), join(into, part), { recursive: true })
  symlinkSync(resolve(root, 'node_modules'), join(into, 'node_modules'))
  const source = readFileSync(join(into, file), 'utf8')
  if (!source.includes(known)) throw new Error(`${file} has another list of features`)
  writeFileSync(join(into, file), source.replace(known, known.replace('0', '1')))
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs'], {
    cwd: into,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`the later version has no build: ${stderr}`)
  return resolve(into)
}
