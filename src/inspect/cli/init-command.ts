/** `keelson init`: writes the files of a new service into an empty folder. */
import { cpSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeDisk } from '../../storage/index.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { checkNewFolder, fillNewFolder } from '../command/new-folder.ts'
import { packageVersion } from '../text/package-version.ts'
import type { InitCommand } from './command-line.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a folder that is not empty: nothing was written
 */
export const runInit = async (
  { dir }: InitCommand,
  { cwd, output }: Environment,
): Promise<number> => {
  const disk = nodeDisk()
  const to = resolve(cwd, dir)
  const files = fileURLToPath(new URL('examples/new', import.meta.resolve('keelson/package.json')))
  checkNewFolder(disk, files, to)
  await fillNewFolder(disk, to, async () => {
    // A link to an empty folder is a folder, but not to `cpSync`.
    cpSync(files, realpathSync(to), { recursive: true })
    // A package leaves out a file of this name.
    writeFileSync(join(to, '.gitignore'), 'node_modules/\ndata/\n')
    const path = join(to, 'package.json')
    writeFileSync(path, manifest(readFileSync(path, 'utf8'), basename(to)))
  })
  const steps = relative(cwd, to) === '' ? [] : [`cd ${relative(cwd, to)}`]
  printLine(output, [`${to} has a new service. Next:`, ...steps, ...commands].join('\n  '))
  return 0
}

const commands = [
  `npm install PATH/keelson-${packageVersion()}.tgz   the package is not on a registry yet`,
  'npm test         the tests, on virtual time',
  'npm run check    the tree that would start',
  'npm start        the service with a prompt; npm run service without one',
]

/** The `package.json` of the service, which needs the version of Keelson that wrote it. */
const manifest = (text: string, folder: string): string => {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  const made = { ...JSON.parse(text), name: name || 'service' }
  made.dependencies.keelson = `^${packageVersion()}`
  return `${JSON.stringify(made, null, 2)}\n`
}
