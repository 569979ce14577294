/**
 * A build of a later version, which reads and writes a feature of logs that this one does not know: a copy of the package
 * with another list of features. It shows how members of two versions live side by side.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The parts of the package that its service and its examples need. */
const parts = ['package.json', 'dist', 'examples'] as const

const known = 'const knownFeatures = 0;'

/** Makes the package of the later version in the folder `into`, from the build in `root`. */
export const nextBuild = (into: string, root = '.'): string => {
  mkdirSync(into, { recursive: true })
  for (const part of parts) cpSync(join(root, part), join(into, part), { recursive: true })
  symlinkSync(resolve(root, 'node_modules'), join(into, 'node_modules'))
  const changed = filesIn(join(into, 'dist')).filter((file) => {
    const text = readFileSync(file, 'utf8')
    if (!text.includes(known)) return false
    writeFileSync(file, text.replace(known, 'const knownFeatures = 1;'))
    return true
  })
  if (changed.length === 0) throw new Error('no file of the build has the list of features')
  return resolve(into)
}

const filesIn = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js') || name.endsWith('.cjs'))
    .map((name) => join(dir, name))
